/**
 * `pod-certificate-agent inspect DIR`: shows what is in a projected volume, and whether it can be used.
 */

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readCertificateBlocks } from '../base/pem.ts';
import { errorText, singleLine } from '../base/redact.ts';
import { readContents } from './credentials.ts';
import { readDeclared } from './declared.ts';
import type { Finding } from './finding.ts';
import { judge } from './findings.ts';
import { statePasswords } from './keystores.ts';
import type { CommandSurroundings } from './surroundings.ts';
import { readVolumeFiles } from './volume-files.ts';

export interface InspectOptions {
  readonly directory: string;
  /** File with trust anchors to use instead of the volume's. */
  readonly anchors: string | undefined;
  readonly output: 'text' | 'json';
  /** True: a warning is a failure. */
  readonly strict: boolean;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** @returns the exit code */
export function inspect(options: InspectOptions, { stdout, stderr }: CommandSurroundings): number {
  const { directory, output, strict, now } = options;
  let findings: readonly Finding[];
  try {
    findings = look(directory, options.anchors, now);
  } catch (error) {
    stderr.write(`${singleLine(errorText(error), 500)}\n`);
    return 2;
  }
  const failed = findings.some(({ level }) => level === 'fail' || (strict && level === 'warn'));
  stdout.write(output === 'json' ? `${JSON.stringify({ ok: !failed, findings })}\n` : text(findings, failed));
  return failed ? 1 : 0;
}

function look(directory: string, anchorsPath: string | undefined, now: number): readonly Finding[] {
  const given =
    anchorsPath === undefined
      ? undefined
      : readCertificateBlocks(readFileSync(anchorsPath, 'utf8')).map((der) => new X509Certificate(der));
  const files = readVolumeFiles(directory);
  const passwords = statePasswords(directory);
  try {
    const contents = readContents(files, passwords);
    return judge(
      given === undefined
        ? { ...contents, declared: readDeclared(directory) }
        : { ...contents, anchors: [{ path: anchorsPath ?? '', certificates: given }], isGiven: true },
      now,
    );
  } finally {
    for (const file of files) {
      if (file.type === 'read') {
        file.bytes.fill(0);
      }
    }
    for (const { bytes } of passwords) {
      bytes.fill(0);
    }
  }
}

function text(findings: readonly Finding[], failed: boolean): string {
  const lines = findings.map(({ level, path, message }) => {
    const where = path === undefined ? '' : `${singleLine(path, 200)}: `;
    return `${level.padEnd(4)}  ${where}${message}`;
  });
  return `${[...lines, failed ? 'not well' : 'well'].join('\n')}\n`;
}

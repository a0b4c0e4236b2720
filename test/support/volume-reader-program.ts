/**
 * A program of a pod that reads its volume at every change of it, as a process of its own: what it finds, it says on standard output.
 *
 *     node volume-reader-program.ts '{"directory": "/…/mount", "key": "tls.pem", "certificate": "tls.pem"}' …
 *
 * It reads one set of files as programs are told to: it follows `..data` once and reads within. What it finds there is whole and belongs
 * together, or it says that it is torn. Whoever closes its standard input is told how often it has looked, and it ends.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, readlinkSync, watch } from 'node:fs';
import { join } from 'node:path';
import type { Followed, Said } from './volume-reader.ts';

/** Changes that no watch has told of are found all the same. */
const lookMs = 50;
/** More changes than come between two readings of a file. */
const mostTries = 20;

const begin = '-----BEGIN CERTIFICATE-----';

function say(what: Said): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

/** The set that `..data` leads to. @throws when there is none */
function readSet({ directory, key, certificate }: Followed): { readonly set: string; readonly texts: string[] } {
  for (let tries = 1; ; tries += 1) {
    const set = readlinkSync(join(directory, '..data'));
    try {
      return { set, texts: [key, certificate].map((file) => readFileSync(join(directory, set, file), 'utf8')) };
    } catch (error) {
      // The set that was followed may go once it is not the present one.
      if (tries === mostTries || readlinkSync(join(directory, '..data')) === set) {
        throw error;
      }
    }
  }
}

function follow(followed: Followed): () => number {
  const { directory } = followed;
  let looks = 0;
  let known = '';
  let found = false;
  const tell = (text: string, what: Said): void => {
    if (text !== known) {
      known = text;
      say(what);
    }
  };
  const look = (): void => {
    looks += 1;
    // Nothing is torn where nothing was written yet.
    if (!found && !existsSync(join(directory, '..data'))) {
      return;
    }
    found = true;
    try {
      const { set, texts } = readSet(followed);
      const [key = '', chain = ''] = texts;
      const leaf = new X509Certificate(chain.slice(Math.max(chain.indexOf(begin), 0)));
      if (!leaf.checkPrivateKey(createPrivateKey(key))) {
        throw new Error('the key is not that of the certificate');
      }
      const { serialNumber, validFromDate, validToDate } = leaf;
      const times = { notBefore: validFromDate.getTime(), notAfter: validToDate.getTime() };
      tell(`${set} ${serialNumber}`, { type: 'read', directory, set, serial: serialNumber, ...times });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      tell(why, { type: 'torn', directory, why });
    }
  };
  watch(directory, look).on('error', () => undefined);
  setInterval(look, lookMs);
  look();
  return () => looks;
}

const counts = process.argv.slice(2).map((text) => follow(JSON.parse(text)));
say({ type: 'following' });
process.stdin.resume().once('end', () => {
  say({ type: 'ended', looks: counts.map((count) => count()) });
  process.exit();
});

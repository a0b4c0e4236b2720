/**
 * Command line of the sample workloads.
 */
import { parseArgs } from 'node:util';
import type { VolumeFiles } from './volume.ts';

export interface WorkloadOptions {
  /** Where the volume is mounted: the directory that holds the files' links and `..data`. */
  readonly volume: string;
  readonly files: VolumeFiles;
  /** TCP port on 127.0.0.1. The server takes 0 for any free one. */
  readonly port: number;
  /** SPIFFE ID that the other side must bear; absent: any that leads to the trust anchors. */
  readonly peer?: string;
  /** Pause between two requests of the client. */
  readonly intervalMs: number;
}

/**
 * Reads `--volume DIR --port N [--peer ID] [--interval-ms N] [--trust-anchors FILE]` and either `--credential-bundle FILE`
 * or `--key FILE --chain FILE`; files are relative to the volume.
 * @throws Error naming the option that is wrong.
 */
export function parseWorkloadOptions(args: readonly string[]): WorkloadOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      volume: { type: 'string' },
      'credential-bundle': { type: 'string' },
      key: { type: 'string' },
      chain: { type: 'string' },
      'trust-anchors': { type: 'string', default: 'trust-anchors.pem' },
      port: { type: 'string', default: '0' },
      peer: { type: 'string' },
      'interval-ms': { type: 'string', default: '100' },
    },
  });
  const { volume, key, chain, peer } = values;
  const bundle = values['credential-bundle'];
  if (volume === undefined) {
    throw new Error('--volume is missing');
  }
  if ((key === undefined) !== (chain === undefined)) {
    throw new Error('--key and --chain go together');
  }
  if (key !== undefined && bundle !== undefined) {
    throw new Error('--credential-bundle and --key exclude each other');
  }
  return {
    volume,
    files: {
      credential:
        key !== undefined && chain !== undefined
          ? { kind: 'apart', keyPath: key, chainPath: chain }
          : { kind: 'bundle', path: bundle ?? 'credentials.pem' },
      anchorsPath: values['trust-anchors'],
    },
    port: wholeNumber('--port', values.port),
    intervalMs: wholeNumber('--interval-ms', values['interval-ms']),
    ...(peer === undefined ? {} : { peer }),
  };
}

function wholeNumber(option: string, value: string): number {
  if (!/^\d{1,9}$/.test(value)) {
    throw new Error(`${option} must be a whole number, not ${JSON.stringify(value)}`);
  }
  return Number(value);
}

/**
 * The stand-in for the API server, from the bench's side: starts its process and asks things of it. What it is for, and
 * what it leaves out, `api-server-program.ts` says.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { kubeconfig } from '../../sandbox/serving/tls.ts';
import type { ApiServerCalls, Listening } from './api-server-calls.ts';
import { type Program, startProgram } from './program.ts';

export interface ApiServer extends Pick<Program<ApiServerCalls, Listening>, 'pid' | 'call' | 'close'> {
  readonly url: string;
  readonly caPem: string;
  /** The certificate at the top of what its signer issues. */
  readonly rootPem: string;
  /** Writes a kubeconfig with which it is reached. */
  writeKubeconfig(path: string): void;
}

export async function startApiServer(): Promise<ApiServer> {
  const program = await startProgram<ApiServerCalls, Listening>(join(import.meta.dirname, 'api-server-program.ts'));
  const { port, caPem, rootPem } = program.ready;
  const url = `https://127.0.0.1:${port}`;
  return {
    ...program,
    url,
    caPem,
    rootPem,
    writeKubeconfig(path) {
      writeFileSync(path, kubeconfig({ url, caPem, user: 'agent', token: 'bench' }), { mode: 0o600 });
    },
  };
}

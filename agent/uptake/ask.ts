/**
 * Makes one HTTP request to a pod that is to read its files again. The pod's answer is its status code and nothing else: no redirect is followed,
 * no body read, no text of it kept. A server's certificate is not looked at, since nothing secret is sent, and a program is to be told just
 * when its certificate may be the wrong one. Over TLS it is made in a thread of its own (`handshake-program.ts`): how long a handshake keeps a
 * processor busy is in the hand of the program that is asked.
 */
import http from 'node:http';
import https from 'node:https';
import { isIPv6 } from 'node:net';
import type { HttpReload } from '../../volumes/declaration/reload.ts';
import { maxAnswerHeadBytes } from './limits.ts';
import type { Attempt } from './teller.ts';

export interface Question {
  readonly ip: string;
  readonly reload: HttpReload;
}

export interface AskOptions extends Question {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Never rejects. */
export function ask({ ip, reload, timeoutMs, signal }: AskOptions): Promise<Attempt> {
  const { port, path, method, scheme } = reload;
  const what = nameOf(reload);
  return new Promise((resolve) => {
    // A connection of its own, which no proxy and no pool has a part in.
    const common = { host: ip, port, path, method, agent: false, maxHeaderSize: maxAnswerHeadBytes } as const;
    const headers = { host: `${isIPv6(ip) ? `[${ip}]` : ip}:${port}`, 'user-agent': 'pod-certificate-agent' };
    const request =
      scheme === 'http'
        ? http.request({ ...common, headers })
        : https.request({ ...common, headers, ca: [], rejectUnauthorized: false, servername: '' });

    const finish = (attempt: Attempt): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      resolve(attempt);
      request.destroy();
    };
    const fail = (why: string): void => finish({ type: 'failed', detail: `${what} ${why}` });
    const abort = (): void => fail('was called off');
    const timer = setTimeout(() => fail(`was not answered within ${timeoutMs / 1_000} s`), timeoutMs);
    signal.addEventListener('abort', abort, { once: true });

    request.on('response', ({ statusCode = 0 }) => {
      if (statusCode >= 200 && statusCode < 300) {
        finish({ type: 'done', detail: `${what} was answered with ${statusCode}` });
      } else {
        const isRedirect = statusCode >= 300 && statusCode < 400;
        fail(`was answered with ${statusCode}${isRedirect ? ', and no redirect is followed' : ''}`);
      }
    });
    // One of these asks for patience, and many of them are a way to hold the agent up.
    request.on('information', () => fail('was answered with something else than a response'));
    request.on('upgrade', () => fail('was answered with something else than a response'));
    // Also after the end: a connection may fail once more while it is closed.
    request.on('error', (error) => fail(`failed: ${codeOf(error)}`));
    if (signal.aborted) {
      abort();
    } else {
      request.end();
    }
  });
}

/** The subject of what is said of it. */
export function nameOf({ method, port }: HttpReload): string {
  return `${method} to port ${port} of the pod`;
}

/** The system's or the library's word for it. Its message may quote what the pod has sent. */
export function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : 'no answer that can be read';
}

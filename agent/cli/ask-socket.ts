/** Asks the agent in this container one question, over the socket that only root may use. */
import { request } from 'node:http';

export interface SocketQuestion {
  readonly socketPath: string;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly maxLength: number;
  readonly signal: AbortSignal;
}

export interface SocketAnswer {
  readonly ok: boolean;
  /** At most `maxLength` characters. */
  readonly text: string;
}

/**
 * Shorter than the chart's `timeoutSeconds` for probes, so that the kubelet shows the reason and not only a timeout.
 */
export const answerLimitMs = 8_000;

/** @throws the error of the connection, or that time ran out */
export function askSocket({ maxLength, ...question }: SocketQuestion): Promise<SocketAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...question, headers: { Host: 'localhost' } }, (reply) => {
      let text = '';
      reply.setEncoding('utf8');
      reply.on('data', (chunk: string) => {
        text = `${text}${chunk}`.slice(0, maxLength);
      });
      reply.once('end', () => resolve({ ok: reply.statusCode === 200, text }));
      reply.once('error', reject);
    });
    outgoing.once('error', reject);
    outgoing.end();
  });
}

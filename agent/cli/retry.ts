/**
 * `pod-certificate-agent retry`: for an operator who has mended a cause. The agent in this container then tries again
 * at once instead of at the end of its pauses.
 */
import { answerLimitMs, askSocket } from './ask-socket.ts';
import { silenceText } from './sockets.ts';
import type { CommandSurroundings } from './surroundings.ts';

export interface RetryOptions {
  readonly pod?: string | undefined;
  readonly all: boolean;
  readonly socket: string;
}

/** Far more than the lines of a full node. */
const maxPrintedLength = 1_048_576;

/** @returns the exit code: 0 when something was woken @throws what is wrong with the arguments */
export async function retry({ pod, all, socket }: RetryOptions, surroundings: CommandSurroundings): Promise<number> {
  const { stdout, stderr, stopping } = surroundings;
  if ((pod === undefined) !== all) {
    throw new Error('say --pod NAMESPACE/NAME or --all');
  }
  if (pod !== undefined && !/^[a-z0-9-]{1,63}\/[a-z0-9.-]{1,253}$/.test(pod)) {
    throw new Error('--pod must be NAMESPACE/NAME');
  }
  const path = pod === undefined ? '/retry?all' : `/retry?pod=${encodeURIComponent(pod)}`;
  const signal = AbortSignal.any([stopping, AbortSignal.timeout(answerLimitMs)]);
  try {
    const { ok, text } = await askSocket({
      socketPath: socket,
      method: 'POST',
      path,
      maxLength: maxPrintedLength,
      signal,
    });
    (ok ? stdout : stderr).write(text);
    return ok ? 0 : 1;
  } catch (error) {
    stderr.write(`the agent does not answer on ${silenceText(socket, error)}\n`);
    return 1;
  }
}

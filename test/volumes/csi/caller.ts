/** A kubelet's side of unix sockets, as a process of its own: makes the calls that its parent asks for, until that is gone. */
import { type Answer, oneCall } from './one-call.ts';

export interface Wanted {
  readonly id: number;
  readonly socket: string;
  readonly service: string;
  readonly method: string;
  readonly request: object;
  readonly deadlineMs: number;
}

export interface Answered {
  readonly id: number;
  readonly answer: Answer;
}

process.on('message', async ({ id, socket, service, method, request, deadlineMs }: Wanted) => {
  const answer: Answered = { id, answer: await oneCall(socket, service, method, request, deadlineMs) };
  process.send?.(answer);
});

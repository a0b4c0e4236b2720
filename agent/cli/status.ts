/**
 * `pod-certificate-agent status`: asks the agent on this machine for its status and prints it. It asks over the socket that only root
 * can use, wherever the agent serves metrics; where that cannot be, at the addresses that agents serve without asking for a token.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { answerLimitMs, askSocket } from './ask-socket.ts';
import { silenceText } from './sockets.ts';
import type { CommandSurroundings } from './surroundings.ts';

export interface StatusOptions {
  /** Where the agent serves; undefined: the socket, then where agents serve by default. */
  readonly address: string | undefined;
  /** The agent's probe sockets, in the order in which they are tried. */
  readonly sockets: readonly string[];
  readonly output: 'table' | 'wide' | 'json';
  /** Words that lines must have, a state, and what to sort by. */
  readonly filter: string;
  readonly state: string;
  readonly sort: string;
  /** True: again and again, until the program is stopped. */
  readonly watch: boolean;
}

const defaultAddresses = ['127.0.0.1:9808', '127.0.0.1:9809'];
const watchPauseMs = 2_000;
/** Far more than a full node has to tell, in characters. */
const maxLength = 32 * 1_048_576;

/** @returns the exit code: 0 when the agent answered, with `watch` the last time */
export async function status(options: StatusOptions, surroundings: CommandSurroundings): Promise<number> {
  const { stdout, stderr, stopping } = surroundings;
  const isScreen = options.watch && stdout.isTTY === true && options.output !== 'json';
  let isFirst = true;
  for (;;) {
    const answer = await ask(options, stopping);
    if (stopping.aborted) {
      return 0;
    }
    const faults = answer.ok ? '' : answer.faults.map((fault) => `${fault}\n`).join('');
    if (isScreen) {
      stdout.write(screenOf(answer.ok ? answer.text : faults, stdout, isFirst));
    } else if (answer.ok) {
      stdout.write(answer.text);
    } else {
      stderr.write(faults);
    }
    isFirst = false;
    if (!options.watch) {
      return answer.ok ? 0 : 1;
    }
    await sleep(watchPauseMs, undefined, { signal: stopping }).catch(() => undefined);
    if (stopping.aborted) {
      return 0;
    }
  }
}

/**
 * Draws over the last picture line by line, without a moment in which nothing is there (ECMA-48: cursor to the top left; each line
 * anew, erased to its end; nothing below). What does not fit the window is left out, or the next picture would begin too low.
 */
function screenOf(text: string, { rows = 24, columns = 100 }: CommandSurroundings['stdout'], isFirst: boolean): string {
  const lines = text.trimEnd().split('\n');
  const shown = lines.length < rows ? lines : lines.slice(0, Math.max(1, rows - 2));
  const rest =
    shown.length === lines.length
      ? []
      : [`… ${lines.length - shown.length} more lines; --filter and --state narrow them`];
  const drawn = [...shown, ...rest].map((line) => `${[...line].slice(0, columns).join('')}\u001b[K\n`).join('');
  return `${isFirst ? '\u001b[2J' : ''}\u001b[H${drawn}\u001b[J`;
}

type Answer = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly faults: readonly string[] };

/** The answer of the first agent that gives one. */
async function ask(options: StatusOptions, stopping: AbortSignal): Promise<Answer> {
  const { address, sockets, output, filter, state, sort } = options;
  const format =
    output === 'json' ? { format: 'json' } : { format: 'text', ...(output === 'wide' ? { wide: '1' } : {}) };
  const path = `/statusz?${new URLSearchParams({ ...format, filter, state, sort })}`;
  const faults: string[] = [];
  const ways: readonly (readonly [where: string, ask: (signal: AbortSignal) => Promise<Told>])[] = [
    ...(address === undefined ? sockets : []).map((socketPath) => {
      const question = { socketPath, method: 'GET', path, maxLength } as const;
      return [socketPath, (signal: AbortSignal) => askSocket({ ...question, signal })] as const;
    }),
    ...(address === undefined ? defaultAddresses : [address]).map(
      (host) => [host, (signal: AbortSignal) => askAddress(`http://${host}${path}`, signal)] as const,
    ),
  ];
  for (const [where, way] of ways) {
    try {
      const told = await way(AbortSignal.any([stopping, AbortSignal.timeout(answerLimitMs)]));
      if (told.ok) {
        return { ok: true, text: told.text };
      }
      faults.push(`${where}: ${told.text.trim().slice(0, 200)}`);
    } catch (error) {
      faults.push(silenceText(where, error));
    }
  }
  return { ok: false, faults: ['no agent answers on this machine:', ...faults.map((fault) => `  ${fault}`)] };
}

interface Told {
  readonly ok: boolean;
  readonly text: string;
}

async function askAddress(url: string, signal: AbortSignal): Promise<Told> {
  const reply = await fetch(url, { signal, redirect: 'error' });
  const text = await reply.text();
  return { ok: reply.ok, text: reply.ok ? text : `${reply.status} ${text}` };
}

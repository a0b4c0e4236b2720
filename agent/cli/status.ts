/**
 * `pod-certificate-agent status`: asks the agent on this machine for its status and prints it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { errorText } from '../base/redact.ts';
import type { CommandSurroundings } from './surroundings.ts';

export interface StatusOptions {
  /** Where the agent serves; undefined: where agents serve by default. */
  readonly address: string | undefined;
  readonly output: 'table' | 'json';
  /** True: again and again, until the program is stopped. */
  readonly watch: boolean;
}

const defaultAddresses = ['127.0.0.1:9808', '127.0.0.1:9809'];
const watchPauseMs = 2_000;
const answerLimitMs = 10_000;
/** Cursor to the top left, and nothing below it (ECMA-48). */
const clearScreen = '\u001b[H\u001b[2J\u001b[3J';

/** @returns the exit code: 0 when the agent answered, with `watch` the last time */
export async function status(options: StatusOptions, surroundings: CommandSurroundings): Promise<number> {
  const { stdout, stderr, stopping } = surroundings;
  const addresses = options.address === undefined ? defaultAddresses : [options.address];
  for (;;) {
    const answer = await ask(addresses, options.output, stopping);
    if (stopping.aborted) {
      return 0;
    }
    if (answer.ok) {
      stdout.write((options.watch && stdout.isTTY ? clearScreen : '') + answer.text);
    } else {
      for (const fault of answer.faults) {
        stderr.write(`${fault}\n`);
      }
    }
    if (!options.watch) {
      return answer.ok ? 0 : 1;
    }
    await sleep(watchPauseMs, undefined, { signal: stopping }).catch(() => undefined);
    if (stopping.aborted) {
      return 0;
    }
  }
}

type Answer = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly faults: readonly string[] };

/** The answer of the first agent that gives one. */
async function ask(
  addresses: readonly string[],
  output: StatusOptions['output'],
  stopping: AbortSignal,
): Promise<Answer> {
  const format = output === 'json' ? 'json' : 'text';
  const faults: string[] = [];
  for (const address of addresses) {
    try {
      const signal = AbortSignal.any([stopping, AbortSignal.timeout(answerLimitMs)]);
      const reply = await fetch(`http://${address}/statusz?format=${format}`, { signal, redirect: 'error' });
      const text = await reply.text();
      if (reply.ok) {
        return { ok: true, text };
      }
      faults.push(`${address}: ${reply.status} ${text.trim().slice(0, 200)}`);
    } catch (error) {
      faults.push(`${address}: ${errorText(error)}`);
    }
  }
  return { ok: false, faults: ['no agent answers on this machine:', ...faults.map((fault) => `  ${fault}`)] };
}

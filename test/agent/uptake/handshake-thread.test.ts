/** How long a handshake keeps a processor busy is in the hand of the pod's program: the agent's main thread has no part in one. */
import assert from 'node:assert/strict';
import { createServer } from 'node:https';
import { type TestContext, test } from 'node:test';
import { inspect } from 'node:util';
import { ask } from '../../../agent/uptake/ask.ts';
import { handshake } from '../../../agent/uptake/handshake.ts';
import { maxAttemptsUnderWay } from '../../../agent/uptake/limits.ts';
import { until } from '../../support/bounded.ts';
import { certify, makeSlowHolder, pemOf } from '../../support/certificates.ts';
import { turnsOf } from '../../support/processor-time.ts';
import { createCrowd, listening } from './parts.ts';

const minute = 60_000;
const ip = '127.0.0.1';

/** Answers over TLS with a chain of which each signature takes OpenSSL some milliseconds, and it checks them all, whoever wants that. */
async function listenSlowly(t: TestContext) {
  const holders = await Promise.all(Array.from({ length: 90 }, (_, index) => makeSlowHolder(`CN=c${index}`)));
  const chain = await Promise.all(
    holders.map((holder, index) =>
      certify(holder, holders[index - 1] ?? holder, { notAfter: Date.now() + 60 * minute }),
    ),
  );
  const { keys } = holders.at(-1) ?? assert.fail('no leaf');
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey));
  const key = `-----BEGIN PRIVATE KEY-----\n${pkcs8.toString('base64')}\n-----END PRIVATE KEY-----\n`;
  const server = createServer({ key, cert: pemOf(...chain.toReversed()) }, (_request, response) => {
    response.writeHead(200).end();
  });
  return { port: await listening(t, server), leaf: chain.at(-1) ?? assert.fail('no leaf') };
}

/** Processor time of the longest turn of the main thread, milliseconds. */
async function longestTurnMs(work: () => Promise<unknown>): Promise<number> {
  return (await turnsOf(work, process.threadCpuUsage)).longest;
}

test('while programs are told over TLS, or looked at, no turn of the main thread takes half as long as a handshake', async (t) => {
  const { port, leaf } = await listenSlowly(t);
  const { signal } = new AbortController();
  const reload = { port, path: '/-/reload', method: 'POST', scheme: 'https' } as const;
  const handshakeMs = Math.min(
    await longestTurnMs(() => ask({ ip, reload, timeoutMs: minute, signal })),
    await longestTurnMs(() => handshake({ ip, port }, minute, signal)),
  );
  for (const [asked, type] of [
    [{ reload: { http: reload } }, 'reloaded'],
    [{ probe: { port } }, 'servesCurrent'],
  ] as const) {
    const { clock, notices, uptakeOf } = createCrowd(t);
    for (let count = 0; count < maxAttemptsUnderWay; count += 1) {
      uptakeOf(`pod-${count}`, asked, leaf).settled();
    }
    const longestMs = await longestTurnMs(async () => {
      clock.advance(minute);
      await until(() => notices.length === maxAttemptsUnderWay, 'all of them');
    });
    assert.deepEqual(new Set(notices.map((notice) => notice.type)), new Set([type]), inspect(notices));
    assert.ok(longestMs < handshakeMs / 2, `${type}: a turn of ${longestMs} ms; a handshake takes ${handshakeMs} ms`);
  }
});

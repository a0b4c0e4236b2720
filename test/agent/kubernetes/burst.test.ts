/**
 * Many pods at once and few calls: the client, the pod directory and a real HTTPS server under a clock that the test
 * sets. Each pod is played as the kubelet and the lifecycle play it: its identity for the publish call, which is
 * repeated after its deadline, then again for the request, then the request.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { AgentError } from '../../../agent/base/errors.ts';
import { createPodDirectory } from '../../../agent/kubernetes/pods.ts';
import type { PodReference } from '../../../volumes/base/volume.ts';
import { boundMs } from '../../support/bounded.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { clientOf, type Received, sendJson, startLoopback } from './loopback.ts';

const publishMs = 118_000;
const requestsPath = '/apis/certificates.k8s.io/v1/namespaces/shop/podcertificaterequests';

interface Burst {
  readonly pods: number;
  readonly requestsPerSecond: number;
  /** Time the server takes for an answer. */
  readonly answerMs: number;
  /** Sources of one pod among them, for `greedy-0`. */
  readonly greedySources?: number;
}

/** Runs the clock, a quarter second at a time, until every pod's request is made or so many calls have been. */
async function run(t: TestContext, { pods, requestsPerSecond, answerMs, greedySources = 0 }: Burst, mostCalls: number) {
  const clock = createManualClock();
  let held = 0;
  const server = await startLoopback(t, (received) => {
    held += 1;
    clock.at(clock.now() + answerMs, () => {
      held -= 1;
      answer(received);
    });
    if (answerMs === 0) {
      clock.advance(0);
    }
  });
  const client = clientOf(t, server, { clock, requestsPerSecond, burst: requestsPerSecond });
  const directory = createPodDirectory({ client, nodeName: 'worker-1', clock });

  async function request(pod: PodReference): Promise<void> {
    const { signal } = new AbortController();
    await directory.identify(pod, { priority: 'first', signal });
    const body = { podName: pod.name };
    await client.request({ method: 'POST', path: requestsPath, body, priority: 'first', owner: pod.uid });
  }

  async function publish(pod: PodReference, sources: number): Promise<void> {
    for (let pauseMs = 500; ; pauseMs = Math.min(pauseMs * 2, 122_000)) {
      const deadline = new AbortController();
      const cancel = clock.at(clock.now() + publishMs, () => deadline.abort());
      try {
        await directory.identify(pod, { priority: 'first', signal: deadline.signal });
        break;
      } catch (error) {
        if (!(error instanceof AgentError && error.code === 'Aborted')) {
          throw error;
        }
        await new Promise<void>((resolve) => clock.at(clock.now() + pauseMs, resolve));
      } finally {
        cancel();
      }
    }
    await Promise.all(Array.from({ length: sources }, () => request(pod)));
  }

  let finished = 0;
  const failures: unknown[] = [];
  const start = (pod: PodReference, sources: number): void => {
    publish(pod, sources).then(
      () => {
        finished += 1;
      },
      (error: unknown) => failures.push(error),
    );
  };
  if (greedySources > 0) {
    start(reference('greedy-0'), greedySources);
  }
  for (let index = 0; index < pods; index += 1) {
    start(reference(`web-${index}`), 1);
  }
  const all = pods + (greedySources > 0 ? 1 : 0);
  for (let ticks = 0; finished < all && server.received.length < mostCalls && ticks < 8 * mostCalls; ticks += 1) {
    clock.advance(250);
    const giveUpAt = performance.now() + boundMs;
    do {
      assert.ok(performance.now() < giveUpAt, `waited ${boundMs} ms in vain for ${client.load().active} calls to end`);
      for (let turn = 0; turn < 3; turn += 1) {
        await nextTurn();
      }
    } while (client.load().active > held);
  }
  client.close();
  assert.deepEqual(
    failures.filter((error) => !(error instanceof AgentError && error.code === 'Aborted')),
    [],
  );
  return { calls: server.received, finished };
}

function reference(name: string): PodReference {
  return { namespace: 'shop', name, uid: `uid-${name}`, serviceAccountName: name };
}

function answer({ method, path, response }: Received): void {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const spec = { nodeName: 'worker-1', serviceAccountName: name };
  sendJson(response, method === 'POST' ? 201 : 200, { metadata: { name, uid: `uid-${name}` }, spec });
}

function isRequest({ method }: Received): boolean {
  return method === 'POST';
}

test('125 pods at once with one call a second: work begun is finished first, four calls a pod', {
  timeout: 60_000,
}, async (t) => {
  const { calls, finished } = await run(t, { pods: 125, requestsPerSecond: 1, answerMs: 0 }, 4 * 125);
  assert.ok(calls.findIndex(isRequest) < 6, `the first request is call ${calls.findIndex(isRequest)}`);
  for (let pod = 1; pod <= 125; pod += 1) {
    const made = calls.slice(0, 4 * pod + 2).filter(isRequest).length;
    assert.ok(made >= pod, `${made} requests after ${4 * pod + 2} calls`);
  }
  assert.equal(finished, 125);
});

test('250 pods at once and answers that take eight seconds: requests keep being made', {
  timeout: 60_000,
}, async (t) => {
  const { calls, finished } = await run(t, { pods: 250, requestsPerSecond: 20, answerMs: 8_000 }, 5 * 250);
  assert.ok(calls.findIndex(isRequest) < 40, `the first request is call ${calls.findIndex(isRequest)}`);
  assert.equal(finished, 250);
});

test('a pod with 200 sources that came first holds up ten others by a few calls', { timeout: 60_000 }, async (t) => {
  const { calls } = await run(t, { pods: 10, requestsPerSecond: 1, answerMs: 0, greedySources: 200 }, 80);
  const served = calls.filter(isRequest).map(({ body }): string => JSON.parse(body).podName);
  const others = served.filter((name) => name.startsWith('web-'));
  assert.equal(new Set(others).size, 10, `after 80 calls these are served: ${served.join(' ')}`);
});

/** Times that a privileged container writes into the state of its own volume, on their way to whoever looks at the node. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { createMetrics } from '../../../agent/observe/metrics/metrics.ts';
import { statusReplyInSteps } from '../../../agent/observe/status/status.ts';
import { atOnce } from '../../../volumes/base/steps.ts';
import { createWorld, hour, minute, podCertificate, type World } from '../lifecycle/world.ts';
import { statusSources } from './subjects.ts';

/** One volume with its certificate, and its state. */
async function withCertificate(world: World): Promise<string> {
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const published = world.publish(request, 10 * minute);
  await world.answer('issue');
  assert.equal((await published).type, 'ready');
  return path.join(request.targetPath, '..agent');
}

/** What the node's metrics and its status say. */
async function shown({ manager }: World) {
  const metrics = createMetrics({ version: '1' });
  metrics.collectFrom({
    credentials: manager.credentials,
    volumes: manager.count,
    anchorWaits: manager.anchorWaits,
    served: manager.served,
    unusableVolumes: manager.unusable,
    watches: () => [],
    load: () => ({ waiting: 0, active: 0, pausedForMs: 0 }),
    eventsDropped: () => 0,
    clockSkew: () => undefined,
    readiness: () => [],
  });
  const sources = { ...statusSources(manager.describe()), ready: () => [] };
  const reply = (accept: string) => atOnce(statusReplyInSteps(sources, new URLSearchParams(), accept)).body;
  const { body } = await metrics.render();
  return { metrics: body, status: reply('application/json'), page: reply('text/html') };
}

const answer = { certificates: ['MAA='], serialNumber: '1' };
const answerFrom = (notBefore: number) => ({
  ...{ requestName: 'forged', keyType: 'ECDSAP256', createdAt: 1 },
  issued: { ...answer, notBefore, beginRefreshAt: notBefore + 1, notAfter: notBefore + 2 },
});
const setbackUntil = (until: number, at = 1) => ({ kind: 'denied', reason: 'r', message: 'm', failures: 1, at, until });

/** The last moment that there is (ECMA-262, Time Values), and its text. */
const last = 8.64e15;
const lastText = '+275760-09-13T00:00:00.000Z';

for (const [what, { pending, setback, isBelieved }] of [
  ['of a certificate that begins after the last moment', { pending: answerFrom(9e15), isBelieved: false }],
  ['of a certificate that ends with the last moment', { pending: answerFrom(last - 2), isBelieved: true }],
  ['of a pause that ends after the last moment', { setback: setbackUntil(9e15), isBelieved: false }],
  ['of a pause that ends with the last moment', { setback: setbackUntil(last), isBelieved: true }],
  ['of a pause that began before the first moment', { setback: setbackUntil(last, -9e15), isBelieved: false }],
] as const satisfies readonly (readonly [string, { pending?: object; setback?: object; isBelieved: boolean }])[]) {
  test(`times ${what} cost nobody the metrics and the status of the node`, async (t) => {
    const world = await createWorld(t);
    const state = await withCertificate(world);
    const write = (name: string, content: object): void =>
      fs.writeFileSync(path.join(state, name), JSON.stringify({ version: 1, ...content }), { mode: 0o600 });
    const keyFile = 'pending-0.0123456789abcdef.key';
    fs.writeFileSync(path.join(state, keyFile), 'k', { mode: 0o600 });
    write('pending-0.json', { pending, keyFile });
    write('setback-0.json', { setback });
    // Overdue, so that a pause is sat out.
    const { issued } = JSON.parse(fs.readFileSync(path.join(state, 'issued-0.json'), 'utf8'));
    write('issued-0.json', { issued: { ...issued, refreshAt: world.clock.now() - hour } });
    await world.restart();
    const { metrics, status, page } = await shown(world);
    assert.match(metrics, /^podcert_agent_volumes 1$/m);
    assert.match(page, /mtls/);
    assert.equal(status.includes(lastText.slice(0, 10)), isBelieved, status);
  });
}

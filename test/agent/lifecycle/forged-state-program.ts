/**
 * An agent that starts with a volume whose state a privileged container has forged: as many sources as there may be, and one long file under
 * the name of each one's. It runs in a process of its own, whose heap is that of the image.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { createWorld, hour, minute, podCertificate } from './world.ts';

test('the agent starts', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const published = world.publish(request, 10 * minute);
  await world.answer('issue');
  assert.equal((await published).type, 'ready');
  const file = (name: string): string => path.join(request.targetPath, '..agent', name);
  const stored = JSON.parse(fs.readFileSync(file('volume.json'), 'utf8'));
  const { declaration } = stored.record;
  const indices = Array.from({ length: 256 }, (_, index) => index);
  declaration.sources = indices.map((index) => ({ ...podCertificate(index, `${index}.pem`) }));
  fs.writeFileSync(file('volume.json'), JSON.stringify(stored));
  const at = world.clock.now() - 1;
  const setback = { kind: 'denied', reason: '', message: 'm'.repeat(520_000), failures: 1, at, until: at + hour };
  fs.writeFileSync(file('one'), JSON.stringify({ version: 1, setback }), { mode: 0o600 });
  for (const index of indices) {
    fs.linkSync(file('one'), file(`setback-${index}.json`));
  }
  await world.restart();
  assert.equal(world.manager.credentials().length, 256);
});

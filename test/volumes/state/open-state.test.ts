/**
 * What is kept of a certificate comes back from its file, what is wrong with the file is told once, by its name, and what was put in the place of
 * a stored request is not in the way of the next one.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { openState } from '../../../volumes/state/state.ts';
import { someCertificate, temporaryDirectory } from '../support.ts';

test('the anchors that came with a certificate are read back by the next run', (t) => {
  const root = temporaryDirectory(t);
  const problems: string[] = [];
  const state = () => openState(root, fs.lstatSync(root), (problem) => problems.push(problem));
  state().saveCurrent(0, someCertificate, [Uint8Array.of(1)], [Uint8Array.of(2)]);
  assert.deepEqual(
    state()
      .currentAnchors(0)
      ?.map((anchor) => [...anchor]),
    [[2]],
  );
  assert.deepEqual(problems, []);
});

test('what is wrong with the record of a certificate is told once, by the name of its file', (t) => {
  const root = temporaryDirectory(t);
  const problems: string[] = [];
  const state = openState(root, fs.lstatSync(root), (problem) => problems.push(problem));
  const file = path.join(root, '..agent', 'issued-0.json');
  fs.symlinkSync('elsewhere', file);
  assert.deepEqual([state.kept(0).current, state.kept(1).current], [undefined, undefined]);
  assert.equal(problems.length, 1, problems.join('; '));
  assert.match(problems[0] ?? '', /^reading .*issued-0\.json: ELOOP/);
});

test('what stands where a request is stored gives way to the next request, and to none', (t) => {
  const root = temporaryDirectory(t);
  const state = openState(root, fs.lstatSync(root), assert.fail);
  const elsewhere = path.join(root, 'elsewhere');
  fs.writeFileSync(elsewhere, '');
  const pending = { requestName: 'req-1', keyType: 'ECDSAP256', createdAt: 1 } as const;
  const file = path.join(root, '..agent', 'pending-0.json');
  const puts = [() => fs.writeFileSync(file, '{'), () => fs.symlinkSync(elsewhere, file)];
  for (const put of puts) {
    put();
    state.savePending(0, pending, Uint8Array.of(1));
    assert.deepEqual(state.pending(0), pending);
    state.discardPending(0);
    put();
    state.discardPending(0);
    assert.deepEqual(fs.readdirSync(path.dirname(file)), []);
  }
  assert.equal(fs.readFileSync(elsewhere, 'utf8'), '');
});

test('a stored request that names the key of another source does not take it along', (t) => {
  const root = temporaryDirectory(t);
  const state = openState(root, fs.lstatSync(root), assert.fail);
  const pending = { requestName: 'req-1', keyType: 'ECDSAP256', createdAt: 1 } as const;
  state.savePending(1, pending, Uint8Array.of(7));
  const file = (index: number) => path.join(root, '..agent', `pending-${index}.json`);
  for (const drop of [() => state.discardPending(0), () => state.savePending(0, pending, Uint8Array.of(1))]) {
    fs.copyFileSync(file(1), file(0));
    drop();
    assert.deepEqual([...state.readPendingKey(1)], [7]);
  }
});

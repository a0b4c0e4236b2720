/** What is kept of a certificate comes back from its file, and what is wrong with the file is told once, by its name. */
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

/**
 * The Node that runs the tests is the locked one, and not whatever the machine has.
 */
import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

test('Node is as new as package.json asks for, and knows the raw key formats', () => {
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  const [, major, minor] = /^>=(\d+)\.(\d+)$/.exec(manifest.engines.node) ?? [];
  const [runningMajor = 0, runningMinor = 0] = process.versions.node.split('.').map(Number);
  assert.equal(runningMajor, Number(major));
  assert.ok(runningMinor >= Number(minor), process.versions.node);
  const key = Buffer.alloc(32, 1);
  createPrivateKey({ key, format: 'raw-private', asymmetricKeyType: 'ed25519' });
});

/** What is left out of texts that the kubelet repeats, so that what says the same is the same text. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { steadyText } from '../../../agent/lifecycle/steady-text.ts';

test('moments and identifiers are left out, in every form that other programs print them in', () => {
  for (const varying of [
    '2026-11-26T10:00Z',
    '2026-11-26T10:00:00Z',
    '2026-11-26T10:00:00.5Z',
    '2026-11-26T10:00:00.123456789Z',
    '2026-11-26T10:00:00+01:00',
    '2026-11-26T10:00:00-0100',
    '2026-11-26 10:00:00.123456789 +0000 UTC',
    '2026-11-26 10:00:00 +0100',
    '2026-11-26 10:00:00 Z',
    '2026-11-26 10:00:00 UTC',
    '2026-11-26 10:00',
    '6f1c2d3e-0a1b-4c5d-8e9f-0123456789ab',
    '6F1C2D3E-0A1B-4C5D-8E9F-0123456789AB',
    '0123456789ab',
    '0123456789abcdef0123456789abcdef01234567',
    '01:23:45:67:89:ab:cd:ef',
    '01:23:45:67:89:ab:cd:ef:01:23',
  ]) {
    assert.equal(steadyText(`until ${varying}, ${varying}; then`), 'until …, …; then', varying);
  }
  assert.equal(steadyText('request mtls-0-0123456789abcdef is pending'), 'request mtls-0-… is pending');
});

test('whatever else is said stays as it is', () => {
  for (const steady of [
    'sources[0]: signer example.com/mesh has not answered',
    '2026-11-26 is a day, and 10:00:00 a time of it',
    '2026-11-26T10 and 12026-11-26T10:00',
    '0123456789a has too few digits',
    'g0123456789ab is no number, nor is 0123456789abg',
    '01:23:45:67:89:ab:cd has too few parts',
    '6f1c2d3e-0a1b-4c5d-8e9f is not whole',
    'it costs 20 Z and 3 +0100 UTC',
  ]) {
    assert.equal(steadyText(steady), steady);
  }
});

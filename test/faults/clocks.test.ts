/** Clocks that are wrong or leap, and an agent or a machine that stands still: pods keep what they have, and it is renewed soon after. */
import { test } from 'node:test';
import { clockFaults, stoppedFaults } from './campaign/clock-faults.ts';
import { endureAll } from './campaign/endure.ts';
import { longOnly } from './campaign/long-only.ts';

const lifetimeMs = 60_000;

test('whatever the clock of a node does, pods keep what is valid and have new certificates in time', longOnly, (t) =>
  endureAll(t, clockFaults, { lifetimeMs: 300_000, refreshAfter: 0.03 }),
);

test('an agent that stood still goes on where it was', longOnly, (t) =>
  endureAll(t, stoppedFaults(lifetimeMs), { lifetimeMs, refreshAfter: 0.1 }),
);

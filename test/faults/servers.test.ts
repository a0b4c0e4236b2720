/**
 * An API server that is away, overloaded, slow, behind, silent or another one by now: pods keep what they have, ask once, and have new
 * certificates soon after, through every certificate API.
 */
import { test } from 'node:test';
import { endureAll } from './campaign/endure.ts';
import { longOnly } from './campaign/long-only.ts';
import { awayUntilExpiry, becoming, serverFaults, silentFaults } from './campaign/server-faults.ts';

const short = { lifetimeMs: 90_000, refreshAfter: 0.05 };

test('whatever the API server does, pods keep what is valid and have new certificates in time', longOnly, (t) =>
  endureAll(t, serverFaults(12_000), short),
);

test('an API server that is down until after certificates have expired renews them once it is back', longOnly, (t) =>
  endureAll(t, [awayUntilExpiry(60_000)], { lifetimeMs: 60_000, refreshAfter: 0.1 }),
);

test('an API server that is only silent is found out, and pods keep what is valid', longOnly, (t) =>
  endureAll(t, silentFaults, { lifetimeMs: 400_000, refreshAfter: 0.02 }),
);

test('an API server that is upgraded, and goes back, renews what it renewed before', longOnly, (t) =>
  endureAll(t, becoming('1.36', '1.37', '1.36', '1.35'), {
    ...{ ...short, kubernetes: '1.35', agentIdentity: 'serviceAccount' },
  }),
);

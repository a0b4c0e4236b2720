/** Which addresses of a pod's status are asked: never one that is the node's own, local or special, whoever wrote it there. */
import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { addressOf } from '../../../agent/uptake/address.ts';

test("the first of the pod's own addresses is asked", () => {
  assert.deepEqual(addressOf({ podIPs: ['10.0.0.7', 'fd00::7'] }), { type: 'known', ip: '10.0.0.7' });
  assert.deepEqual(addressOf({ podIPs: ['fd00::7'] }), { type: 'known', ip: 'fd00::7' });
  assert.equal(addressOf({ podIPs: [] }).type, 'later');
});

test("a pod on the node's network is asked nowhere", () => {
  const address = addressOf({});
  assert.ok(address.type === 'never' && /hostNetwork/.test(address.detail), address.type);
});

test("the node's own, local and special addresses are refused, in every spelling", () => {
  const special = [
    ...['127.0.0.1', '127.8.8.8', '0.0.0.0', '169.254.169.254', '224.0.0.1', '255.255.255.255'],
    ...['::1', '::', '::ffff:127.0.0.1', '::ffff:7f00:1', '::127.0.0.1', 'fe80::1', 'ff02::1', '64:ff9b::a00:1'],
  ];
  for (const ip of special) {
    assert.equal(addressOf({ podIPs: [ip] }, []).type, 'never', ip);
  }
  for (const addresses of Object.values(networkInterfaces())) {
    for (const { address } of addresses ?? []) {
      assert.equal(addressOf({ podIPs: [address] }).type, 'never', address);
    }
  }
});

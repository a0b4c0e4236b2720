import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { requestNameFor } from '../../../agent/issuance/request-name.ts';

const spki = Uint8Array.of(1, 2, 3);

describe('the name of a request', () => {
  it('is the same for the same inputs, in every version of the agent', () => {
    const name = requestNameFor('uid', 'mtls', 0, spki);
    assert.equal(name, requestNameFor('uid', 'mtls', 0, Uint8Array.from(spki)));
    // A change here would make every pending request be made again by the next version.
    assert.equal(name, 'mtls-0-c06aa46974012632e38c85d3233e0ef0988dee12');
  });

  it('differs when any input differs', () => {
    const names = [
      requestNameFor('uid', 'mtls', 0, spki),
      requestNameFor('uid2', 'mtls', 0, spki),
      requestNameFor('uid', 'mtls2', 0, spki),
      requestNameFor('uid', 'mtls', 1, spki),
      requestNameFor('uid', 'mtls', 0, Uint8Array.of(1, 2, 4)),
      requestNameFor('uid', 'MTLS', 0, spki),
      requestNameFor('uid","mtls', '', 0, spki),
    ];
    assert.equal(new Set(names).size, names.length);
  });

  it('begins with what can be read of the volume, and with its source', () => {
    for (const [volumeName, beginning] of [
      ['my.Volume_ of-mine', 'my-volume-of-mine-7-'],
      ['-my--volume-', 'my-volume-7-'],
      ['\u00e4', 'volume-7-'],
      ['x'.repeat(64), `${'x'.repeat(63)}-7-`],
      [`${'x'.repeat(62)}-y`, `${'x'.repeat(62)}-7-`],
    ] as const) {
      const name = requestNameFor('uid', volumeName, 7, spki);
      assert.equal(name.slice(0, -40), beginning);
      assert.match(name.slice(-40), /^[0-9a-f]{40}$/);
    }
  });

  it('is a DNS subdomain name, whatever the volume is called', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), fc.nat(), (volumeName, podUID, index) => {
        const name = requestNameFor(podUID, volumeName, index, spki);
        assert.match(name, /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/);
        assert.ok(name.length <= 253, `${name.length} is more than 253`);
      }),
    );
  });
});

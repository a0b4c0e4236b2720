import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { outcomeOf } from '../../../agent/issuance/outcome.ts';
import type { Condition, PodCertificateRequest } from '../../../agent/kubernetes/objects.ts';

type Status = NonNullable<PodCertificateRequest['status']>;

const spec = {
  signerName: 'example.com/mesh',
  podName: 'web',
  podUID: 'uid',
  serviceAccountName: 'default',
  serviceAccountUID: 'sa-uid',
  nodeName: 'node-1',
  nodeUID: 'node-uid',
};
const read = (status?: Status) =>
  outcomeOf({ metadata: { name: 'r' }, spec, ...(status === undefined ? {} : { status }) });
const condition = (type: string, status = 'True'): Condition => ({ type, status, reason: 'R', message: 'm' });

describe('the status of a request', () => {
  it('says nothing before the signer has answered', () => {
    assert.equal(read(), undefined);
    assert.equal(read({}), undefined);
    assert.equal(read({ conditions: [] }), undefined);
    assert.equal(
      read({ conditions: [condition('Issued', 'False'), condition('SuggestedByAnotherVersion')] }),
      undefined,
    );
  });

  it('gives the chain and its times once it is issued', () => {
    const status = {
      conditions: [condition('Issued')],
      certificateChain: 'PEM',
      notBefore: '2026-11-21T10:00:00Z',
      notAfter: '2026-11-22T12:00:00+02:00',
      beginRefreshAt: '2026-11-22T00:00:00Z',
    };
    assert.deepEqual(read(status), {
      type: 'issued',
      certificateChain: 'PEM',
      notBefore: Date.UTC(2026, 10, 21, 10),
      notAfter: Date.UTC(2026, 10, 22, 10),
      beginRefreshAt: Date.UTC(2026, 10, 22),
    });
  });

  it('is left to the checks of the chain when it is issued without what belongs to it', () => {
    const [notBefore, notAfter, beginRefreshAt] = [Number.NaN, Number.NaN, Number.NaN];
    assert.deepEqual(read({ conditions: [condition('Issued')], notBefore: 'yesterday' }), {
      ...{ type: 'issued', certificateChain: '', notBefore, notAfter, beginRefreshAt },
    });
  });

  it('gives the reason and message of a refusal, empty when there are none', () => {
    assert.deepEqual(read({ conditions: [condition('Denied')] }), { type: 'denied', reason: 'R', message: 'm' });
    assert.deepEqual(read({ conditions: [{ type: 'Failed', status: 'True' }] }), {
      ...{ type: 'failed', reason: '', message: '' },
    });
  });
});

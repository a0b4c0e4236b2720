/** How requests with contents are made, and found to exist already. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AgentError } from '../../../agent/base/errors.ts';
import { certificateRequests } from '../../../agent/issuance/cert-manager.ts';
import { createKeyMaker } from '../../../agent/keys/key-maker.ts';
import { choiceBy, name, openWorld, order, signerName } from './contents-world.ts';

const key = await createKeyMaker().generate('ECDSAP256');
const { signal } = new AbortController();

describe('a request with contents', () => {
  it('is made in the rank of its order, as its pod’s, and holds PEM as RFC 7468 has it', async () => {
    const { issuer, calls, server } = openWorld();
    await issuer.submit({ ...order, priority: 'refresh', expiresAt: 9 }, key, signal);
    assert.deepEqual(calls, [{ priority: 'refresh', expiresAt: 9, alsoFor: undefined, owner: 'u1', signal }]);
    assert.match(
      Buffer.from(server.get(name)?.spec.request ?? '', 'base64').toString(),
      /^-----BEGIN CERTIFICATE REQUEST-----\n([\w+/]{64}\n)+[\w+/=]{1,64}\n-----END CERTIFICATE REQUEST-----\n$/,
    );
  });

  it('has a name of its own for each source, which tells the API', () => {
    const named = (sourceIndex: number) =>
      openWorld().issuer.requestName(
        { pod: order.identity.pod, volumeName: 'mtls', sourceIndex, signerName },
        key.spki,
      );
    assert.match(named(0), /^mtls-0-[0-9a-f]{40}\.cr$/);
    assert.match(named(1), /^mtls-1-[0-9a-f]{40}\.cr$/);
  });

  it('that exists already is looked for in the live copy, and read where that does not have the whole of it', async () => {
    const { issuer, server, copy, done } = openWorld();
    await issuer.submit(order, key, signal);
    const made = server.get(name) ?? assert.fail('it was made');
    copy.set(name, made);
    await issuer.submit(order, key, signal);
    assert.deepEqual(done, []);
    copy.set(name, certificateRequests.outline(made.metadata));
    await issuer.submit(order, key, signal);
    copy.delete(name);
    await issuer.submit(order, key, signal);
    assert.deepEqual(done, [`get ${name} first`, `get ${name} first`]);
  });

  it('that exists already and holds no request at all is somebody else’s', async () => {
    const { issuer, server } = openWorld();
    await issuer.submit(order, key, signal);
    const made = server.get(name) ?? assert.fail('it was made');
    server.set(name, { ...made, spec: { ...made.spec, request: Buffer.from('no PEM').toString('base64') } });
    await assert.rejects(issuer.submit(order, key, signal), { code: 'Conflict', actor: 'nobody' });
  });

  it('that could not be made for another reason is looked for nowhere', async () => {
    const fault = new AgentError('Unavailable', 'no', { actor: 'nobody' });
    const { issuer, done } = openWorld({ fault });
    await assert.rejects(issuer.submit(order, key, signal), fault);
    assert.deepEqual(done, []);
  });

  it('is not made where the signer is asked elsewhere by now', async () => {
    const { issuer, calls } = openWorld({ choice: choiceBy({ signers: ['*'], podCertificateRequest: {} }) });
    await assert.rejects(issuer.submit(order, key, signal), { code: 'Conflict', actor: 'nobody' });
    assert.deepEqual(calls, []);
  });
});

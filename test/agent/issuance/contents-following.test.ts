/** How requests with contents are followed by the rules in force, found again by another run of the agent, and let go. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inspect } from 'node:util';
import { AgentError } from '../../../agent/base/errors.ts';
import { certificateRequests } from '../../../agent/issuance/cert-manager.ts';
import { createKeyMaker } from '../../../agent/keys/key-maker.ts';
import type { CertificateRequest } from '../../../agent/kubernetes/objects.ts';
import { createRootAuthority } from '../../support/certificates.ts';
import { choiceBy, name, openWorld, order, reference, requestName } from './contents-world.ts';

const key = await createKeyMaker().generate('ECDSAP256');
const { pem } = await createRootAuthority();
const issued: CertificateRequest['status'] = {
  conditions: [{ type: 'Ready', status: 'True' }],
  certificate: Buffer.from(pem).toString('base64'),
};
const { signal } = new AbortController();

/** Lets promises that are resolved be answered. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('the certificate of a request', () => {
  /** After which part of its life it is renewed. */
  async function partBy(choice: ReturnType<typeof choiceBy>): Promise<number> {
    let isMade = false;
    const world = openWorld({ choice: (...asked) => (isMade ? choice : choiceBy())(...asked) });
    await world.issuer.submit(order, key, signal);
    isMade = true;
    world.follow();
    world.answer(issued);
    const [outcome] = world.outcomes;
    assert.ok(outcome?.type === 'issued', inspect(outcome));
    return (outcome.beginRefreshAt - outcome.notBefore) / (outcome.notAfter - outcome.notBefore);
  }

  it('is renewed by the rule in force, and after two thirds of its life where that says nothing about it', async () => {
    const rule = { signers: ['*'], certManager: { refreshAfter: 0.25 } };
    assert.equal(await partBy(choiceBy(rule)), 0.25);
    const elsewhere = choiceBy({ signers: ['*'], podCertificateRequest: {} });
    const refusing = () => {
      throw new AgentError('SignerNotAllowed', 'no', { actor: 'pod author' });
    };
    for (const choice of [elsewhere, refusing]) {
      const part = await partBy(choice);
      assert.ok(Math.abs(part - 2 / 3) < 0.001, `${part}`);
    }
  });

  it('is not waited for where the rules cannot be looked at for a fault of the agent’s own', () => {
    const fault = new RangeError('a fault');
    const choice = () => {
      throw fault;
    };
    assert.throws(() => openWorld({ choice }).follow(), fault);
  });
});

it('a request that was removed before the agent heard that it was made is gone as soon as it is followed', async () => {
  const { issuer, follow, outcomes } = openWorld({ isRemoved: true });
  await issuer.submit(order, key, signal);
  follow();
  await settled();
  assert.deepEqual(outcomes, [{ type: 'gone' }]);
});

describe('a request of an earlier run', () => {
  it('is read where the live copy took it for somebody else’s: has an outline of it, or has not kept it', async () => {
    for (const isKept of [true, false]) {
      const earlier = openWorld();
      await earlier.issuer.submit(order, key, signal);
      earlier.answer(issued);
      const { server, copy, done, follow, outcomes } = openWorld();
      const made = earlier.server.get(name) ?? assert.fail('it was made');
      server.set(name, made);
      if (isKept) {
        copy.set(name, certificateRequests.outline(made.metadata));
      }
      follow();
      await settled();
      assert.deepEqual(
        outcomes.map(({ type }) => type),
        ['issued'],
      );
      assert.deepEqual(done, [`get ${name} first`]);
    }
  });

  it('is not read before there is a list, nor where the copy has the whole of it; nor is one of this run', async () => {
    const early = openWorld({ taken: 0 });
    early.follow();
    const known = openWorld();
    await known.issuer.submit(order, key, signal);
    known.answer(issued);
    known.claims.release(name);
    known.follow();
    const own = openWorld();
    await own.issuer.submit(order, key, signal);
    own.follow();
    await settled();
    assert.deepEqual([early.done, known.done, own.done], [[], [], []]);
    assert.deepEqual(
      [early, known, own].map(({ outcomes }) => outcomes.map(({ type }) => type)),
      [[], ['issued'], []],
    );
  });
});

describe('what others say about a request that waits', () => {
  it('is read with the request’s name and told, until there is an answer or nobody listens', async () => {
    for (const isAnswered of [true, false]) {
      const { issuer, clock, answer, follow, hurdles, outcomes, done, claims } = openWorld();
      await issuer.submit(order, key, signal);
      const end = follow();
      answer({});
      clock.advance(9_000);
      await settled();
      assert.deepEqual(done, [`events ${name}`]);
      assert.deepEqual(
        hurdles.map(({ turn, detail }) => [turn, detail]),
        [
          ['approver', undefined],
          ['approver', 'no policy'],
        ],
      );
      if (isAnswered) {
        answer(issued);
      } else {
        end();
        answer(issued);
      }
      clock.advance(3_600_000);
      await settled();
      assert.deepEqual(done, [`events ${name}`], 'it is not read again');
      assert.deepEqual([outcomes.length, hurdles.length], [isAnswered ? 1 : 0, 2]);
      assert.equal(claims.claim(name), false, 'the live copy need not keep it any longer');
    }
  });
});

it('a request is followed and let go where nobody says anything in events', async () => {
  const { issuer, answer, follow, hurdles, outcomes } = openWorld({ hasEvents: false });
  await issuer.submit(order, key, signal);
  const end = follow();
  answer({});
  end();
  answer(issued);
  assert.deepEqual([hurdles.length, outcomes.length], [1, 0]);
});

describe('a request that is of no more use', () => {
  it('is removed, also where the live copy does not know it', () => {
    const { issuer, done } = openWorld();
    issuer.abandon?.(reference);
    assert.deepEqual(done, [`remove ${name}`]);
  });

  it('takes along another one of its source that is waited for no more, and not one that is', async () => {
    const { issuer, answer, follow, copy, done } = openWorld();
    await issuer.submit(order, key, signal);
    answer({});
    const other = { ...reference, requestName: `mtls-0-${'b'.repeat(40)}.cr` };
    const object = copy.get(name) ?? assert.fail('it is known');
    copy.set(`shop/${other.requestName}`, {
      ...object,
      metadata: { ...object.metadata, name: other.requestName },
    });
    const end = follow();
    issuer.abandon?.(other);
    end();
    issuer.abandon?.(other);
    assert.deepEqual(
      done,
      [other.requestName, other.requestName, requestName].map((each) => `remove shop/${each}`),
    );
  });

  it('is claimed no longer', async () => {
    const { issuer, claims } = openWorld();
    await issuer.submit(order, key, signal);
    issuer.abandon?.(reference);
    assert.equal(claims.claim(name), false, 'the live copy need not keep it any longer');
  });
});

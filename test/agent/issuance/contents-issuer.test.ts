/** How requests with contents are made, found again by another run of the agent, followed by the rules in force, and let go. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inspect } from 'node:util';
import { AgentError } from '../../../agent/base/errors.ts';
import { certificateRequests } from '../../../agent/issuance/cert-manager.ts';
import { createClaims } from '../../../agent/issuance/claims.ts';
import { createContentsIssuer } from '../../../agent/issuance/contents-request.ts';
import { issuerFor, readIssuerRules } from '../../../agent/issuance/issuer-rules.ts';
import type { RequestEvent } from '../../../agent/issuance/request-calls.ts';
import { createKeyMaker } from '../../../agent/keys/key-maker.ts';
import type { CertificateRequest } from '../../../agent/kubernetes/objects.ts';
import type { CertificateOrder, Hurdle, Outcome } from '../../../agent/lifecycle/ports.ts';
import { createRootAuthority } from '../../support/certificates.ts';
import { createManualClock } from '../../support/manual-clock.ts';

const key = await createKeyMaker().generate('ECDSAP256');
const { pem } = await createRootAuthority();
const issued: CertificateRequest['status'] = {
  conditions: [{ type: 'Ready', status: 'True' }],
  certificate: Buffer.from(pem).toString('base64'),
};
const { signal } = new AbortController();
const signerName = 'clusterissuers.cert-manager.io/ca';
const requestName = `mtls-0-${'a'.repeat(40)}.cr`;
const name = `shop/${requestName}`;
const reference = { namespace: 'shop', requestName, signerName };
const order: CertificateOrder = {
  requestName,
  identity: {
    pod: { namespace: 'shop', name: 'web', uid: 'u1', serviceAccountName: 'web' },
    ...{ serviceAccountUID: 's', nodeName: 'node-a', nodeUID: 'n', ended: false },
  },
  ...{ signerName, userAnnotations: {}, priority: 'first' },
};

function choiceBy(...rules: readonly object[]) {
  const reading = readIssuerRules(rules);
  assert.ok(reading.ok, inspect(reading));
  return (namespace: string, signer: string) => issuerFor(reading.value, namespace, signer);
}

/** An issuer over a server and a live copy that show what a test puts into them, and what it did. */
function open({ choice = choiceBy(), taken = 1 } = {}) {
  const [server, copy] = [new Map<string, CertificateRequest>(), new Map<string, CertificateRequest>()];
  const listeners = new Set<(event: RequestEvent<CertificateRequest>) => void>();
  const claims = createClaims<CertificateRequest>(certificateRequests.outline);
  const clock = createManualClock();
  const done: string[] = [];
  const calls: object[] = [];
  const unused = (): never => assert.fail('nobody asks for that');
  const issuer = createContentsIssuer({
    kind: certificateRequests,
    calls: {
      async create(body, call) {
        calls.push(call);
        if (server.has(`shop/${body.metadata.name}`)) {
          throw new AgentError('Conflict', 'exists', { actor: 'nobody' });
        }
        server.set(`shop/${body.metadata.name}`, body);
      },
      async get(namespace, asked, call) {
        done.push(`get ${namespace}/${asked} ${call.priority}`);
        return server.get(`${namespace}/${asked}`) ?? assert.fail('only what exists is asked for');
      },
      async remove(namespace, asked) {
        done.push(`remove ${namespace}/${asked}`);
      },
    },
    cache: {
      get: (asked) => copy.get(asked),
      list: () => [...copy.values()],
      lists: () => ({ begun: taken, taken }),
      subscribe(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    events: {
      clock,
      async read(namespace, asked) {
        done.push(`events ${namespace}/${asked}`);
        return 'no policy';
      },
    },
    ...{ claims, nodeName: 'node-a', trustDomain: () => 'mesh.example', choice },
    tokens: { ready: unused, bearer: unused },
    onFault: (error) => assert.fail(error),
  });
  const answer = (status: CertificateRequest['status']): void => {
    const object = { ...(server.get(name) ?? assert.fail('it was made')), ...(status && { status }) };
    server.set(name, object);
    copy.set(name, object);
    for (const listener of [...listeners]) {
      listener({ type: 'modified', object });
    }
  };
  const outcomes: Outcome[] = [];
  const hurdles: Hurdle[] = [];
  const follow = () =>
    issuer.follow(
      reference,
      (outcome) => outcomes.push(outcome),
      (hurdle) => hurdles.push(hurdle),
    );
  return { issuer, server, copy, claims, clock, done, calls, answer, follow, outcomes, hurdles };
}

/** Lets promises that are resolved be answered. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('a request with contents', () => {
  it('is made in the rank of its order, as its pod’s, and holds PEM as RFC 7468 has it', async () => {
    const { issuer, calls, server } = open();
    await issuer.submit({ ...order, priority: 'refresh', expiresAt: 9 }, key, signal);
    assert.deepEqual(calls, [{ priority: 'refresh', expiresAt: 9, alsoFor: undefined, owner: 'u1', signal }]);
    assert.match(
      Buffer.from(server.get(name)?.spec.request ?? '', 'base64').toString(),
      /^-----BEGIN CERTIFICATE REQUEST-----\n([\w+/]{64}\n)+[\w+/=]{1,64}\n-----END CERTIFICATE REQUEST-----\n$/,
    );
  });

  it('has a name of its own for each source, which tells the API', () => {
    const named = (sourceIndex: number) =>
      open().issuer.requestName({ pod: order.identity.pod, volumeName: 'mtls', sourceIndex, signerName }, key.spki);
    assert.match(named(0), /^mtls-0-[0-9a-f]{40}\.cr$/);
    assert.match(named(1), /^mtls-1-[0-9a-f]{40}\.cr$/);
  });

  it('that exists already is looked for in the live copy, and read where that does not have the whole of it', async () => {
    const { issuer, server, copy, done } = open();
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
    const { issuer, server } = open();
    await issuer.submit(order, key, signal);
    const made = server.get(name) ?? assert.fail('it was made');
    server.set(name, { ...made, spec: { ...made.spec, request: Buffer.from('no PEM').toString('base64') } });
    await assert.rejects(issuer.submit(order, key, signal), { code: 'Conflict', actor: 'nobody' });
  });

  it('is not made where the signer is asked elsewhere by now', async () => {
    const { issuer, calls } = open({ choice: choiceBy({ signers: ['*'], podCertificateRequest: {} }) });
    await assert.rejects(issuer.submit(order, key, signal), { code: 'Conflict', actor: 'nobody' });
    assert.deepEqual(calls, []);
  });
});

describe('the certificate of a request', () => {
  /** After which part of its life it is renewed. */
  async function partBy(choice: ReturnType<typeof choiceBy>): Promise<number> {
    let isMade = false;
    const world = open({ choice: (...asked) => (isMade ? choice : choiceBy())(...asked) });
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
    assert.throws(() => open({ choice }).follow(), fault);
  });
});

describe('a request of an earlier run', () => {
  it('is read where the live copy took it for somebody else’s: has an outline of it, or has not kept it', async () => {
    for (const isKept of [true, false]) {
      const earlier = open();
      await earlier.issuer.submit(order, key, signal);
      earlier.answer(issued);
      const { server, copy, done, follow, outcomes } = open();
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
    const early = open({ taken: 0 });
    early.follow();
    const known = open();
    await known.issuer.submit(order, key, signal);
    known.answer(issued);
    known.claims.release(name);
    known.follow();
    const own = open();
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
      const { issuer, clock, answer, follow, hurdles, outcomes, done, claims } = open();
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
      assert.equal(outcomes.length, isAnswered ? 1 : 0);
      assert.equal(claims.claim(name), false, 'the live copy need not keep it any longer');
    }
  });
});

describe('a request that is of no more use', () => {
  it('is removed, also where the live copy does not know it', () => {
    const { issuer, done } = open();
    issuer.abandon?.(reference);
    assert.deepEqual(done, [`remove ${name}`]);
  });

  it('takes along another one of its source that is waited for no more, and not one that is', async () => {
    const { issuer, answer, follow, copy, done } = open();
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
    const { issuer, claims } = open();
    await issuer.submit(order, key, signal);
    issuer.abandon?.(reference);
    assert.equal(claims.claim(name), false, 'the live copy need not keep it any longer');
  });
});

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { ClusterTrustBundle, PodCertificateRequest } from '../../../agent/kubernetes/objects.ts';
import { type RotationStep, type SignerOptions, startSigner } from '../../../sandbox/signers/signer.ts';
import type { RequestListener, RequestStatus, SignerApi, WriteResult } from '../../../sandbox/signers/signer-api.ts';
import { withinBound } from '../../support/bounded.ts';
import { makeDirectory } from '../../support/directory.ts';

/** A test that waits for something that never comes fails instead of hanging. */
const limit = { timeout: 60_000 };

const directory = makeDirectory({ after });

const signerName = 'example.com/mesh';

interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** One key per type, made once: RSA takes its time. */
const keys: Readonly<Record<string, KeyPair>> = {
  RSA3072: generateKeyPairSync('rsa', { modulusLength: 3072 }),
  ECDSAP256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ECDSAP384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  ECDSAP521: generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  ED25519: generateKeyPairSync('ed25519'),
};

function keyPair(type: string): KeyPair {
  const pair = keys[type];
  assert.ok(pair, 'there is no pair');
  return pair;
}

function spki(type: string): string {
  return keyPair(type).publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
}

let requests = 0;

function request(spec: Partial<PodCertificateRequest['spec']>): PodCertificateRequest {
  requests += 1;
  return {
    metadata: { name: `req-${requests}`, namespace: 'demo', uid: `uid-${requests}` },
    spec: {
      signerName,
      podName: 'web-0',
      podUID: 'pod-uid',
      serviceAccountName: 'web',
      serviceAccountUID: 'sa-uid',
      nodeName: 'node-1',
      nodeUID: 'node-uid',
      maxExpirationSeconds: 86400,
      ...spec,
    },
  };
}

function certificateRequest(type: string): string {
  const keyFile = join(directory, `${type}.pem`);
  writeFileSync(keyFile, keyPair(type).privateKey.export({ type: 'pkcs8', format: 'pem' }));
  return execFileSync('openssl', ['req', '-new', '-key', keyFile, '-subj', '/', '-outform', 'DER']).toString('base64');
}

/** An API server as plain objects: it keeps what was written and lets tests wait for it. */
function fakeApi(reply: (attempt: number) => WriteResult = () => ({ type: 'written' })) {
  const { promise: following, resolve: follow } = Promise.withResolvers<RequestListener>();
  const bundles: ClusterTrustBundle[] = [];
  const written: RequestStatus[] = [];
  const waiters: (() => void)[] = [];
  let attempts = 0;
  let ended = false;
  const note = (status: RequestStatus) => {
    written.push(status);
    for (const wake of waiters.splice(0)) {
      wake();
    }
  };
  const api: SignerApi = {
    follow: (_name, listener) => {
      follow(listener);
      return () => {
        ended = true;
      };
    },
    writeStatus: async (_request, status) => {
      attempts += 1;
      const result = reply(attempts);
      note(status);
      return result;
    },
    applyTrustBundle: async (bundle) => {
      bundles.push(bundle);
    },
  };
  return {
    api,
    bundles,
    written,
    note,
    following: () => withinBound(following, 'the signer to follow requests'),
    attempts: () => attempts,
    ended: () => ended,
    status: async (count = 1) => {
      while (written.length < count) {
        const { promise, resolve } = Promise.withResolvers<void>();
        waiters.push(resolve);
        await withinBound(promise, `status ${count} to be written, of ${written.length} so far`);
      }
      const status = written[count - 1];
      assert.ok(status, 'there is no status');
      return status;
    },
  };
}

async function ask(options: Partial<SignerOptions>, asked: PodCertificateRequest) {
  const server = fakeApi();
  const signer = await startSigner({ signerName, api: server.api, ...options });
  try {
    (await server.following()).changed(asked);
    return { status: await server.status(), signer, server };
  } finally {
    signer.close();
  }
}

function certificatesOf(chain: string | undefined): X509Certificate[] {
  const blocks = (chain ?? '').match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}

function opensslVerify(rootPem: string, chain: string, purpose: string): string {
  const [leaf, ...rest] = certificatesOf(chain);
  const path = (name: string) => join(directory, name);
  writeFileSync(path('root.pem'), rootPem);
  writeFileSync(path('untrusted.pem'), rest.map(String).join(''));
  writeFileSync(path('leaf.pem'), String(leaf));
  return execFileSync('openssl', [
    ...['verify', '-x509_strict', '-purpose', purpose, '-CAfile', path('root.pem')],
    ...['-untrusted', path('untrusted.pem'), path('leaf.pem')],
  ]).toString();
}

for (const type of Object.keys(keys)) {
  for (const form of ['stub request', 'public key'] as const) {
    test(`OpenSSL verifies the chain issued for a ${type} ${form}`, limit, async () => {
      const spec =
        form === 'stub request' ? { stubPKCS10Request: certificateRequest(type) } : { pkixPublicKey: spki(type) };
      const { status, server } = await ask({}, request(spec));
      assert.equal(status.conditions?.[0]?.type, 'Issued');
      const root = server.bundles[0]?.spec.trustBundle ?? '';
      for (const purpose of ['sslserver', 'sslclient']) {
        assert.match(opensslVerify(root, status.certificateChain ?? '', purpose), /leaf\.pem: OK/);
      }
      const [leaf] = certificatesOf(status.certificateChain);
      assert.equal(leaf?.publicKey.export({ type: 'spki', format: 'der' }).toString('base64'), spki(type));
      assert.equal(
        leaf?.subjectAltName,
        'URI:spiffe://example.com/ns/demo/sa/web, DNS:web.demo, DNS:web.demo.svc, DNS:web.demo.svc.cluster.local',
      );
    });
  }
}

test('the status says the times of the leaf, with the refresh at the fraction asked for', limit, async () => {
  const now = () => Date.parse('2026-03-01T12:00:00.900Z');
  const { status } = await ask(
    { now, lifetimeSeconds: 7200, refreshAtFraction: 0.75 },
    request({ pkixPublicKey: spki('ED25519') }),
  );
  assert.equal(status.notBefore, '2026-03-01T12:00:00Z');
  assert.equal(status.notAfter, '2026-03-01T14:00:00Z');
  assert.equal(status.beginRefreshAt, '2026-03-01T13:30:00Z');
  const [leaf] = certificatesOf(status.certificateChain);
  assert.equal(Date.parse(leaf?.validFrom ?? ''), Date.parse('2026-03-01T12:00:00Z'));
  assert.equal(Date.parse(leaf?.validTo ?? ''), Date.parse('2026-03-01T14:00:00Z'));
});

test(
  'a certificate lives no longer than the request allows, and its refresh keeps ten minutes from both ends',
  limit,
  async () => {
    const asked = request({ pkixPublicKey: spki('ED25519'), maxExpirationSeconds: 3600 });
    const { status } = await ask({ refreshAtFraction: 0.99 }, asked);
    const at = (time: string | undefined) => Date.parse(time ?? '') / 1000;
    assert.equal(at(status.notAfter) - at(status.notBefore), 3600);
    assert.equal(at(status.notAfter) - at(status.beginRefreshAt), 600);
  },
);

test('the time scale shortens the default lifetime and the margins of the refresh', limit, async () => {
  const asked = request({ pkixPublicKey: spki('ED25519') });
  const { status } = await ask({ timeScale: 600, refreshAtFraction: 0 }, asked);
  const at = (time: string | undefined) => Date.parse(time ?? '') / 1000;
  assert.equal(at(status.notAfter) - at(status.notBefore), 144);
  assert.equal(at(status.beginRefreshAt) - at(status.notBefore), 1);
});

test('a stub request with a subject is denied', limit, async () => {
  const keyFile = join(directory, 'named.pem');
  writeFileSync(keyFile, keyPair('ECDSAP256').privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const stub = execFileSync('openssl', ['req', '-new', '-key', keyFile, '-subj', '/CN=me', '-outform', 'DER']);
  const { status } = await ask({}, request({ stubPKCS10Request: stub.toString('base64') }));
  assert.equal(status.conditions?.[0]?.type, 'Denied');
  assert.match(status.conditions?.[0]?.message ?? '', /empty subject/);
});

test('denying and failing signers set the condition with their reason and nothing else', limit, async () => {
  for (const [type, expected] of [
    ['denying', 'Denied'],
    ['failing', 'Failed'],
  ] as const) {
    const { status } = await ask(
      { behaviour: { type, reason: 'Policy', message: 'not today' } },
      request({ pkixPublicKey: spki('ED25519') }),
    );
    assert.deepEqual(Object.keys(status), ['conditions']);
    const [condition] = status.conditions ?? [];
    assert.equal(condition?.type, expected);
    assert.equal(condition?.status, 'True');
    assert.equal(condition?.reason, 'Policy');
    assert.equal(condition?.message, 'not today');
  }
});

test('a signer of some key types denies the others with a suggestion and issues for its own', limit, async () => {
  const behaviour = { type: 'onlyKeyTypes', supported: ['ECDSAP256', 'ED25519'] } as const;
  const denied = await ask({ behaviour }, request({ pkixPublicKey: spki('RSA3072') }));
  assert.equal(denied.status.conditions?.[0]?.reason, 'UnsupportedKeyType');
  assert.match(denied.status.conditions?.[0]?.message ?? '', /RSA3072 .*ECDSAP256/);
  const issued = await ask({ behaviour }, request({ pkixPublicKey: spki('ED25519') }));
  assert.equal(issued.status.conditions?.[0]?.type, 'Issued');
});

test('wrong answers go through the back door: another key, the wrong order, garbage, skewed times', limit, async () => {
  const answers = new Map<string, RequestStatus>();
  for (const behaviour of [
    { type: 'wrongKey' },
    { type: 'wrongOrder' },
    { type: 'garbage' },
    { type: 'clockSkewed', skewMs: -7200_000 },
  ] as const) {
    const server = fakeApi();
    const writeUnchecked = (_request: PodCertificateRequest, status: RequestStatus) => server.note(status);
    const signer = await startSigner({ signerName, api: server.api, behaviour, writeUnchecked, lifetimeSeconds: 3600 });
    (await server.following()).changed(request({ pkixPublicKey: spki('ED25519') }));
    answers.set(behaviour.type, await server.status());
    assert.equal(server.attempts(), 0);
    signer.close();
  }
  const leafOf = (type: string) => certificatesOf(answers.get(type)?.certificateChain)[0];
  assert.notEqual(leafOf('wrongKey')?.publicKey.asymmetricKeyType, 'ed25519');
  assert.equal(leafOf('wrongOrder')?.ca, true);
  assert.throws(() => leafOf('garbage'));
  assert.ok(
    Date.parse(leafOf('clockSkewed')?.validTo ?? '') < Date.now(),
    `the leaf is valid to ${leafOf('clockSkewed')?.validTo}`,
  );
});

test('a slow signer answers after its delay, and not at all once it is closed', limit, async () => {
  const behaviour = { type: 'slow', delayMs: 30 } as const;
  const started = performance.now();
  await ask({ behaviour }, request({ pkixPublicKey: spki('ED25519') }));
  const tookMs = performance.now() - started;
  assert.ok(tookMs >= 29, `the answer came after ${tookMs} ms`);

  const problems: string[] = [];
  const server = fakeApi();
  const onProblem = (message: string) => problems.push(message);
  const signer = await startSigner({ signerName, api: server.api, behaviour, onProblem });
  (await server.following()).changed(request({ pkixPublicKey: spki('ED25519') }));
  signer.close();
  assert.ok(server.ended(), 'the signer still follows requests');
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.equal(server.written.length, 0);
  assert.deepEqual(problems, []);
});

test('a request that changes while its answer is on the way is answered once', limit, async () => {
  const server = fakeApi();
  const signer = await startSigner({ signerName, api: server.api, behaviour: { type: 'slow', delayMs: 10 } });
  const listener = await server.following();
  const asked = request({ pkixPublicKey: spki('ED25519') });
  listener.changed(asked);
  listener.changed({ ...asked, metadata: { ...asked.metadata, labels: { changed: 'yes' } } });
  await server.status();
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(server.written.length, 1);
  signer.close();
});

test('a silent signer that speaks again answers what it left, not what was deleted or answered', limit, async () => {
  const server = fakeApi();
  const signer = await startSigner({ signerName, api: server.api, behaviour: { type: 'silent' } });
  const listener = await server.following();
  const [kept, deleted, answered] = [1, 2, 3].map(() => request({ pkixPublicKey: spki('ED25519') }));
  assert.ok(kept && deleted && answered, 'there is no kept or no deleted or no answered');
  for (const each of [kept, deleted, answered]) {
    listener.changed(each);
  }
  listener.deleted(deleted);
  listener.changed({ ...answered, status: { conditions: [{ type: 'Issued', status: 'True' }] } });
  await new Promise(setImmediate);
  signer.setBehaviour({ type: 'instant' });
  await server.status();
  await new Promise(setImmediate);
  assert.equal(server.written.length, 1);
  assert.equal(signer.issued(), 1);
  signer.close();
});

test('a status is written again when the API server is away, and not again when it is refused', limit, async () => {
  const problems: string[] = [];
  const server = fakeApi((attempt) =>
    attempt === 1 ? { type: 'retry', message: 'away' } : { type: 'refused', message: 'no' },
  );
  const onProblem = (message: string) => problems.push(message);
  const signer = await startSigner({ signerName, api: server.api, onProblem });
  (await server.following()).changed(request({ pkixPublicKey: spki('ED25519') }));
  const first = await server.status(1);
  assert.deepEqual(await server.status(2), first);
  await new Promise(setImmediate);
  assert.equal(server.attempts(), 2);
  assert.equal(problems.length, 2);
  signer.close();
});

test('an exchange of authorities trusts both roots while certificates of both are about', limit, async () => {
  let clock = Date.parse('2026-03-01T12:00:00Z');
  const server = fakeApi();
  const signer = await startSigner({
    signerName,
    api: server.api,
    now: () => clock,
    lifetimeSeconds: 1,
    timeScale: 3600,
  });
  const listener = await server.following();
  const first = signer.authority();
  listener.changed(request({ pkixPublicKey: spki('ED25519') }));
  await server.status(1);

  const steps: RotationStep[] = [];
  const switched = Promise.withResolvers<void>();
  const onStep = (step: RotationStep) => {
    steps.push(step);
    if (step === 'switched') {
      switched.resolve();
    }
  };
  const rotating = signer.rotateAuthority({ overlapMs: 1, onStep });
  await withinBound(switched.promise, 'the new authority to be in use');
  listener.changed(request({ pkixPublicKey: spki('ED25519') }));
  const fromNew = certificatesOf((await server.status(2)).certificateChain);
  assert.match(fromNew[0]?.issuer ?? '', /mesh 2 intermediate/);
  assert.deepEqual(steps, ['published', 'switched']);
  clock += 2000;
  await rotating;
  assert.deepEqual(steps, ['published', 'switched', 'withdrawn']);

  const second = signer.authority();
  assert.deepEqual(
    server.bundles.map((bundle) => bundle.spec.trustBundle),
    [first.rootPem, first.rootPem + second.rootPem, second.rootPem],
  );
  assert.deepEqual(
    server.bundles.map((bundle) => bundle.metadata.name),
    Array(3).fill('example.com:mesh:anchors'),
  );
  assert.throws(() => signer.issueFromNext(), /no next authority/);
  signer.close();
});

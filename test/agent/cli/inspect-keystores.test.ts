/** `inspect` and keystores: opened with the passwords that lie beside them, as the agent wrote them and as OpenSSL does. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { main } from '../../../agent/main.ts';
import { describeFaults, parseDeclaration } from '../../../volumes/declaration/sources.ts';
import { createVolumeStore } from '../../../volumes/store.ts';
import { makeRecord, makeTarget, temporaryDirectory } from '../../volumes/support.ts';
import { createIdentity, createMaterial, createVolume } from './volume.ts';

async function inspect(directory: string) {
  let stdout = '';
  const write = (text: string) => {
    stdout += text;
  };
  const code = await main({
    argv: ['inspect', directory],
    env: {},
    stdout: { write },
    stderr: { write },
    stopping: new AbortController().signal,
  });
  return { code, lines: stdout.split('\n') };
}

const der = (pem: string): Uint8Array => new X509Certificate(pem).raw;

/** A volume as the agent makes it, of a keystore, a truststore, and no PEM but the anchors. */
async function volumeOfAgent(t: TestContext, password: object) {
  const sources = [
    { podCertificate: { signerName: 'a.example/b', keyType: 'ECDSAP256', keystorePath: 'keystore.p12', ...password } },
    {
      clusterTrustBundle: {
        name: 'a.example:b:roots',
        path: 'roots.pem',
        truststorePath: 'trust.p12',
        password: 'changeit',
      },
    },
  ];
  const verdict = parseDeclaration({ sources: JSON.stringify(sources) });
  assert.ok(verdict.ok, verdict.ok ? '' : describeFaults(verdict.faults));
  const root = temporaryDirectory(t);
  const targetPath = makeTarget(root);
  const store = createVolumeStore({ kubeletRoot: root, driverName: 'csi.test', mode: 'directory' });
  const volume = await store.create(makeRecord(targetPath, { declaration: verdict.declaration }));
  const { key, leaf, intermediate, root: anchor } = await createMaterial();
  const privateKey = createPrivateKey(key).export({ format: 'der', type: 'pkcs8' });
  const certificates = [der(leaf), der(intermediate.pem)];
  await volume.project(
    new Map([
      [0, { kind: 'credential', privateKey, certificates }],
      [1, { kind: 'trustAnchors', certificates: [der(anchor.pem)] }],
    ]),
  );
  return targetPath;
}

test('a volume of keystores is well when their passwords open them and what is in them is well', async (t) => {
  const directory = await volumeOfAgent(t, { passwordPath: 'password' });
  const { code, lines } = await inspect(directory);
  assert.equal(code, 0, lines.join('\n'));
  assert.deepEqual(lines.slice(0, 3), [
    'ok    keystore.p12: the keystore opens with the password in password, and holds a key and 2 certificates',
    "ok    trust.p12: the keystore opens with the password in the agent's state, and holds 1 certificate",
    'ok    keystore.p12: the ec key belongs to a leaf of the volume',
  ]);
  assert.ok(lines.includes('ok    keystore.p12: the chain leads to the trust anchor "CN=root"'), lines.join('\n'));
});

test('a password file that does not open its keystore is a fault, and so is the keystore', async (t) => {
  const directory = await volumeOfAgent(t, { passwordPath: 'password' });
  fs.rmSync(join(directory, '..agent'), { recursive: true });
  fs.writeFileSync(fs.realpathSync(join(directory, 'password')), 'something-else\n');
  const { code, lines } = await inspect(directory);
  assert.equal(code, 1, lines.join('\n'));
  assert.ok(
    lines.includes('fail  keystore.p12: the keystore opens with no password that lies in the volume'),
    lines.join('\n'),
  );
  assert.ok(
    lines.includes('fail  password: it is the password of no keystore, and nothing else either'),
    lines.join('\n'),
  );
});

test('a keystore whose password the pod gives is checked by who may read the state, and noted by others', async (t) => {
  const directory = await volumeOfAgent(t, { password: 'the pod says so' });
  assert.equal((await inspect(directory)).code, 0);
  fs.rmSync(join(directory, '..agent'), { recursive: true });
  const { code, lines } = await inspect(directory);
  assert.equal(code, 0, lines.join('\n'));
  assert.match(lines[0] ?? '', /^note {2}keystore\.p12: the keystore opens with no password that can be read here/);
  assert.ok(!lines.join('\n').includes('the pod says so'), 'the password is told');
});

test('a key in a keystore that belongs to no leaf is seen, and one of another form is said to be that', async (t) => {
  const { leaf } = await createMaterial();
  const directory = createVolume(t, { 'leaf.pem': leaf, 'key.pem': createIdentity().key, password: 'changeit\n' });
  const files = fs.realpathSync(join(directory, '..data'));
  const store = join(directory, 'key.p12');
  const openssl = (...options: readonly string[]) =>
    execFileSync('openssl', [
      ...[
        'pkcs12',
        '-export',
        '-nocerts',
        '-inkey',
        join(files, 'key.pem'),
        '-passout',
        'pass:changeit',
        '-out',
        join(files, 'key.p12'),
      ],
      ...options,
    ]);
  openssl();
  fs.symlinkSync('..data/key.p12', store);
  const foreign = await inspect(directory);
  assert.equal(foreign.code, 1);
  const message = 'key.p12: the keystore opens with the password in password, and holds a key and 0 certificates';
  assert.ok(foreign.lines.includes(`ok    ${message}`), foreign.lines.join('\n'));
  assert.ok(
    foreign.lines.includes('fail  key.p12: the ec key belongs to no leaf of the volume'),
    foreign.lines.join('\n'),
  );
  openssl('-macalg', 'sha1');
  const old = await inspect(directory);
  const form = 'fail  key.p12: it is a PKCS#12 file, but none of the form that the agent writes';
  assert.ok(old.lines.includes(form), old.lines.join('\n'));
});

test('bytes that only begin like a keystore, cut off anywhere, are a fault and nothing worse', async (t) => {
  const directory = await volumeOfAgent(t, { passwordPath: 'password' });
  const file = fs.realpathSync(join(directory, 'keystore.p12'));
  const whole = fs.readFileSync(file);
  for (let length = 0; length < whole.length; length += 37) {
    fs.writeFileSync(file, whole.subarray(0, length));
    assert.equal((await inspect(directory)).code, 1, `cut off after ${length} bytes`);
  }
});

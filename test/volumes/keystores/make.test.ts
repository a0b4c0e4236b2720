/** Which keystores are made of what, when they are made anew, and what becomes of passwords and derived keys. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import type { KeystoreNotes, KeystoreState } from '../../../volumes/base/keystore.ts';
import { atOnce, type Steps } from '../../../volumes/base/steps.ts';
import type { SourceContent } from '../../../volumes/base/volume.ts';
import { describeFaults, parseDeclaration } from '../../../volumes/declaration/sources.ts';
import type { MadeFile } from '../../../volumes/files/layout.ts';
import { macKey } from '../../../volumes/keystores/derivation.ts';
import { keepPasswords, makeKeystores, withoutPasswords } from '../../../volumes/keystores/make.ts';
import { keystoreSafe, macOver, macSalt, pkcs12, truststoreSafe } from '../../../volumes/keystores/pkcs12.ts';
import { certify, makeHolder } from '../../support/certificates.ts';
import { makeRecord } from '../support.ts';

const password = 'changeit';
const privateKey = generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' });
const [leaf, other, anchor] = [1, 2, 3].map((byte) => new Uint8Array(20).fill(byte));
const certificate = { signerName: 'example.com/mesh', keyType: 'ED25519', credentialBundlePath: 'tls.pem' };
const stores = { keystorePath: 'key.p12', truststorePath: 'trust.p12', passwordPath: 'password' };

function recordOf(...sources: readonly object[]) {
  const verdict = parseDeclaration({ sources: JSON.stringify(sources) });
  assert.ok(verdict.ok, verdict.ok ? '' : describeFaults(verdict.faults));
  return makeRecord('/target', { declaration: verdict.declaration });
}

/** A state in memory. What it gives out and takes is kept as it was handed over, and not only what was in it. */
function memory(stored?: string, notes: KeystoreNotes = {}) {
  const passwords = new Map<number, string>(stored === undefined ? [] : [[0, stored]]);
  const handed: Uint8Array[] = [];
  const saved: string[] = [];
  const noted: KeystoreNotes[] = [];
  const state: KeystoreState = {
    password: (index) => {
      const text = passwords.get(index);
      const bytes = text === undefined ? undefined : new Uint8Array(Buffer.from(text, 'latin1'));
      handed.push(...(bytes === undefined ? [] : [bytes]));
      return bytes;
    },
    savePassword: (index, bytes) => {
      const text = Buffer.from(bytes).toString('latin1');
      handed.push(bytes);
      saved.push(text);
      passwords.set(index, text);
    },
    notes: () => noted.at(-1) ?? notes,
    saveNotes: (_index, made) => noted.push(made),
  };
  return { state, handed, saved, noted };
}

/** Makes the keystores of the first source. */
async function make(source: object, content: SourceContent, kept = memory(password)) {
  const [declared] = recordOf(source).declaration.sources;
  assert.ok(declared !== undefined, 'there is no source');
  const secrets: Uint8Array[] = [];
  const stepsOf: number[] = [];
  const carryOut = async <Result>(steps: Steps<Result>): Promise<Result> => {
    for (let count = 0; ; count += 1) {
      const { done, value } = steps.next();
      if (done === true) {
        stepsOf.push(count);
        return value;
      }
    }
  };
  const files = await makeKeystores(declared, content, { state: kept.state, carryOut, secrets });
  return { files: files.map(described), secrets, stepsOf, noted: kept.noted, kept };
}

function described({ path, content, isSecret }: MadeFile) {
  return { path, isSecret, bytes: Buffer.concat([...content.pieces()]) };
}

/** What all files of a source are made of. */
type WholeContent = Exclude<SourceContent, { readonly kind: 'issuedAnchors' }>;

const credential: WholeContent = {
  kind: 'credential',
  privateKey,
  certificates: [leaf, other].map((der) => der ?? new Uint8Array()),
  anchors: [anchor ?? new Uint8Array()],
};
const anchors: WholeContent = { kind: 'trustAnchors', certificates: [anchor ?? new Uint8Array()] };

/** The bytes of a file with this note. */
async function sealed(content: WholeContent, kind: 'keystore' | 'truststore', notes: KeystoreNotes | undefined) {
  const note = notes?.[kind];
  assert.ok(note !== undefined, `nothing is noted of the ${kind}`);
  const bytes = Buffer.from(password);
  const trusted = content.kind === 'credential' ? (content.anchors ?? []) : content.certificates;
  const safe =
    kind === 'keystore'
      ? await keystoreSafe(privateKey, content.certificates, bytes, note.randomness)
      : truststoreSafe(trusted);
  const mac = atOnce(macOver(safe, atOnce(macKey(bytes, macSalt(note.randomness)))));
  assert.deepEqual(note.mac, mac);
  return Buffer.concat([...pkcs12(safe, mac, note.randomness).pieces()]);
}

test('a certificate has its keystore, its anchors and their password in files, the anchors alone for everybody', async () => {
  const { files, secrets, noted } = await make({ podCertificate: { ...certificate, ...stores } }, credential);
  assert.equal(noted.length, 1);
  assert.deepEqual(files, [
    { path: 'key.p12', isSecret: true, bytes: await sealed(credential, 'keystore', noted[0]) },
    { path: 'trust.p12', isSecret: false, bytes: await sealed(credential, 'truststore', noted[0]) },
    { path: 'password', isSecret: true, bytes: Buffer.from(password) },
  ]);
  assert.deepEqual(secrets.map(String), [String(new Uint8Array(Buffer.from(password)))]);
});

test('a bundle has its truststore, and a password that is no secret', async () => {
  const { keystorePath: _, ...declared } = stores;
  const source = { clusterTrustBundle: { name: 'roots', path: 'roots.pem', ...declared } };
  const { files, noted } = await make(source, anchors);
  assert.deepEqual(files, [
    { path: 'trust.p12', isSecret: false, bytes: await sealed(anchors, 'truststore', noted[0]) },
    { path: 'password', isSecret: false, bytes: Buffer.from(password) },
  ]);
  assert.equal(noted[0]?.keystore, undefined);
});

test('only the files that are declared are made', async () => {
  const { files, noted } = await make(
    { podCertificate: { ...certificate, keystorePath: 'key.p12', password } },
    { ...credential, anchors: [] },
  );
  assert.deepEqual(
    files.map(({ path }) => path),
    ['key.p12'],
  );
  assert.deepEqual(Object.keys(noted[0] ?? {}), ['keystore']);
});

test('equal content is equal bytes and writes no note, and other content has other randomness', async () => {
  const source = { podCertificate: { ...certificate, ...stores } };
  const kept = memory(password);
  const first = await make(source, credential, kept);
  const again = await make(source, credential, kept);
  assert.deepEqual(again.files, first.files);
  assert.equal(kept.noted.length, 1);
  const renewed = { ...credential, certificates: credential.certificates.toReversed() };
  await make(source, renewed, kept);
  const [before, after] = kept.noted;
  assert.notDeepEqual(after?.keystore?.randomness, before?.keystore?.randomness);
  assert.equal(after?.truststore, before?.truststore, 'the truststore was made anew');
  await make(source, { ...renewed, anchors: [] }, kept);
  assert.equal(kept.noted.length, 3);
  assert.equal(kept.noted[2]?.keystore, after?.keystore, 'the keystore was made anew');
});

test('a note on a file that is not declared is forgotten', async () => {
  const kept = memory(password);
  await make({ podCertificate: { ...certificate, ...stores } }, credential, kept);
  await make({ podCertificate: { ...certificate, keystorePath: 'key.p12', password } }, credential, kept);
  assert.deepEqual(kept.noted.map(Object.keys), [['keystore', 'truststore'], ['keystore']]);
});

test('anchors that come alone are a truststore made anew, and leave keystore, password and what is noted of them', async () => {
  const source = { podCertificate: { ...certificate, ...stores } };
  const kept = memory(password);
  await make(source, credential, kept);
  const issued = [other ?? new Uint8Array()];
  const { files } = await make(source, { kind: 'issuedAnchors', anchors: issued }, kept);
  const [before, after] = kept.noted;
  const bytes = await sealed({ kind: 'trustAnchors', certificates: issued }, 'truststore', after);
  assert.deepEqual(files, [{ path: 'trust.p12', isSecret: false, bytes }]);
  assert.equal(after?.keystore, before?.keystore);
});

test('what a note says of another file, or in another length, is not used', async () => {
  const source = { podCertificate: { ...certificate, ...stores } };
  const { noted } = await make(source, { ...credential, anchors: credential.certificates });
  const { keystore, truststore } = noted[0] ?? {};
  assert.ok(keystore !== undefined && truststore !== undefined, 'nothing is noted');
  assert.notEqual(keystore.madeOf, truststore.madeOf, 'a keystore is taken for a truststore of the same certificates');
  const short = memory(password, { keystore: { ...keystore, randomness: keystore.randomness.subarray(1) } });
  const made = await make(source, credential, short);
  assert.equal(made.noted[0]?.keystore?.randomness.length, 80);
});

test('roots that are to be dropped are not in the keystore, and are where nobody asked to drop them', async () => {
  const [root, holder] = [await makeHolder('CN=root'), await makeHolder('CN=leaf')];
  const chain = [await certify(holder, root), await certify(root, root)];
  const content: WholeContent = { kind: 'credential', privateKey, certificates: chain };
  for (const [roots, certificates] of [
    ['drop', chain.slice(0, 1)],
    ['keep', chain],
  ] as const) {
    const { files, noted } = await make({ podCertificate: { ...certificate, ...stores, roots } }, content);
    const expected = await sealed({ ...content, certificates }, 'keystore', noted[0]);
    assert.deepEqual(files[0]?.bytes, expected, roots);
  }
});

test('a digest of many certificates is made in steps of 256', async () => {
  const { keystorePath: _, ...declared } = stores;
  const certificates = Array.from({ length: 600 }, () => anchor ?? new Uint8Array());
  const source = { clusterTrustBundle: { name: 'roots', path: 'roots.pem', ...declared } };
  const { stepsOf } = await make(source, { kind: 'trustAnchors', certificates });
  assert.equal(stepsOf[0], 3);
});

/** The bytes of what is overwritten with zeros while a test runs, by their number. */
function overwritten(t: TestContext): readonly number[] {
  const lengths: number[] = [];
  for (const prototype of [Uint8Array.prototype, Buffer.prototype]) {
    const { fill } = prototype;
    t.mock.method(prototype, 'fill', function (this: Uint8Array, value: number, ...rest: readonly number[]) {
      if (value === 0) {
        lengths.push(this.length);
      }
      return fill.call(this, value, ...rest);
    });
  }
  return lengths;
}

test('each key that is derived from the password is overwritten when its file is made', async (t) => {
  const lengths = overwritten(t);
  await make({ podCertificate: { ...certificate, keystorePath: 'key.p12', password } }, credential);
  // Those of the certificates, of the key and of the MAC.
  assert.equal(lengths.filter((length) => length === 32).length, 3, lengths.join());
});

test('a volume whose password is lost is not filled, and says of which source it is', async () => {
  const source = { podCertificate: { ...certificate, ...stores } };
  await assert.rejects(make(source, credential, memory()), {
    code: 'Corrupt',
    message: "the volume's state has lost the password of sources[0].podCertificate",
  });
});

test('a password that the pod gives is stored, and again only when it is another; none stays in memory', () => {
  const given = recordOf({ podCertificate: { ...certificate, keystorePath: 'key.p12', password } });
  for (const [stored, saved] of [
    [undefined, [password]],
    [password, []],
    ['earlier one', [password]],
  ] as const) {
    const kept = memory(stored);
    keepPasswords(given, kept.state);
    assert.deepEqual(kept.saved, saved);
    assert.ok(kept.handed.length > 0 && kept.handed.flatMap((each) => [...each]).every((byte) => byte === 0), stored);
  }
});

test('a password that cannot be stored does not stay in memory either', () => {
  const { state, handed } = memory('earlier one');
  const failing: KeystoreState = {
    ...state,
    savePassword: (_index, bytes) => {
      handed.push(bytes);
      throw new Error('no room');
    },
  };
  const given = recordOf({ podCertificate: { ...certificate, keystorePath: 'key.p12', password } });
  assert.throws(() => keepPasswords(given, failing), /no room/);
  assert.deepEqual([handed.length, handed.flatMap((each) => [...each]).some((byte) => byte !== 0)], [2, false]);
});

test('the agent makes a password where the pod gives none, once; nothing is asked for a source without keystores', () => {
  const made = recordOf({ podCertificate: { ...certificate, ...stores } });
  const kept = memory();
  keepPasswords(made, kept.state);
  keepPasswords(made, kept.state);
  assert.equal(kept.saved.length, 1);
  assert.match(kept.saved[0] ?? '', /^[0-9a-f]{64}$/);
  const none = memory();
  keepPasswords(recordOf({ podCertificate: certificate }), none.state);
  assert.deepEqual(none.saved, []);
});

test('a record that is kept has neither the password, nor loses what else it says', () => {
  const given = recordOf({ podCertificate: { ...certificate, keystorePath: 'key.p12', password } });
  const kept = withoutPasswords(given);
  // One that came back from the state, where its password is lost.
  assert.throws(() => keepPasswords(kept, memory().state), { code: 'Corrupt' });
  const [{ password: _, ...source } = {}] = given.declaration.sources.map((each) => ({ ...each }));
  assert.deepEqual(kept, { ...given, declaration: { ...given.declaration, sources: [source] } });
});

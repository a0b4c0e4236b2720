/**
 * The life of keys in one process, for `key-memory.test.ts`: keys of all types go the agent's way, from their making to the
 * files that a pod reads, a keystore among them, once from memory and once as a restarted agent finds them. Then the process says `settled` and stays
 * until its input ends.
 *
 *     node --expose-gc key-memory-child.ts <directory> <keys of each type>
 */
import { X509Certificate } from 'node:crypto';
import { lstatSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createKeyMaker } from '../../../agent/keys/key-maker.ts';
import { createWorker } from '../../../volumes/base/steps.ts';
import type { VolumeRecord } from '../../../volumes/base/volume.ts';
import { type KeyType, keyTypes } from '../../../volumes/declaration/key-types.ts';
import { openVolume } from '../../../volumes/open-volume.ts';
import { createRootAuthority } from '../../support/certificates.ts';

const [directory = '', count = '1'] = process.argv.slice(2);
const keys = createKeyMaker();
const authority = await createRootAuthority();
await keys.warmUp();
for (const keyType of keyTypes) {
  // A large key takes a second.
  const ofType = keyType.startsWith('RSA') ? 1 : Number(count);
  for (let number = 0; number < ofType; number += 1) {
    await live(keyType, join(directory, `${keyType}-${number}`));
  }
}
// More than one collection: what is found dead in one may be cleared in the next only.
for (let round = 0; round < 5; round += 1) {
  globalThis.gc?.();
  await nextTurn();
}
process.stdout.write('settled\n');
process.stdin.resume();

async function live(keyType: KeyType, targetPath: string): Promise<void> {
  mkdirSync(targetPath);
  const volume = await openVolume(record(keyType, targetPath), {
    identity: lstatSync(targetPath),
    worker: createWorker(),
    withRoom: (_bytes, _entries, work) => work(),
    onSpare: () => undefined,
    inTurn: (work) => work(),
    inKeystoreLine: (work) => work(),
    setOwners: false,
    now: Date.now,
    onProblem: (problem) => {
      throw new Error(problem);
    },
    isRemoved: () => false,
    writeRecord: true,
  });
  const made = await keys.generate(keyType);
  const { spki } = made;
  const request = { requestName: 'r', keyType, publicKey: Uint8Array.from(spki), createdAt: 0 };
  volume.savePending(0, request, made.pkcs8);
  made.destroy();
  const restored = keys.restore(volume.readPendingKey(0), { keyType, spki });
  await restored.proofOfPossession('uid');
  await restored.stubRequest();
  restored.destroy();
  const now = Date.now();
  const pem = await authority.issueLeaf({ spki: request.publicKey, notBefore: now, notAfter: now + 3_600_000 });
  const leaf = new X509Certificate(pem).raw;
  // The second time compares with what is there.
  for (const expected of ['written', 'unchanged']) {
    const privateKey = volume.readPendingKey(0);
    if (!keys.belongs(privateKey, leaf)) {
      throw new Error('the key does not belong to its certificate');
    }
    const result = await volume.project(new Map([[0, { kind: 'credential', privateKey, certificates: [leaf] }]]));
    privateKey.fill(0);
    if (result !== expected) {
      throw new Error(`the files are ${result}`);
    }
  }
  volume.discardPending(0);
}

function record(keyType: KeyType, targetPath: string): VolumeRecord {
  const paths = {
    keyPath: 'key.pem',
    credentialBundlePath: 'bundle.pem',
    keystorePath: 'key.p12',
    passwordPath: 'password',
  };
  const source = { kind: 'podCertificate', index: 0, signerName: 'a.example/b', keyType, userAnnotations: {} } as const;
  return {
    volumeId: 'volume',
    targetPath,
    volumeName: 'mtls',
    pod: { namespace: 'default', name: 'pod', uid: 'uid', serviceAccountName: 'default' },
    declaration: { sources: [{ ...source, ...paths }] },
    owner: { kind: 'none' },
  };
}

/**
 * The floor: what a certificate in a pod's volume costs at least. A key with a proof that it is held, one POST over a warm
 * connection, the watch event that brings the answer, one tmpfs mount, one atomic write; in this order, with nothing checked,
 * kept, logged or told. Started by `floor.ts`, with the URL of the API server's stand-in, its CA and a directory.
 */
import { generateKeyPair, type KeyObject, sign } from 'node:crypto';
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import type { KeyType } from '../../volumes/declaration/key-types.ts';
import { withSystemCalls } from '../../volumes/mounts/mount-calls.ts';
import type { MountMeans } from '../../volumes/mounts/mount-means.ts';
import { systemPrograms, withPrograms } from '../../volumes/mounts/mount-programs.ts';
import { signerName } from './api-server-calls.ts';
import { type FloorCalls, floorNode } from './floor-calls.ts';
import { processorMs } from './processes.ts';
import { answerCalls } from './program.ts';

const [url = '', ca = '', directory = '', volumeMode = ''] = process.argv.slice(2);
const means = mountMeans();
const makeKeyPair = promisify(generateKeyPair);
const collection = `/apis/certificates.k8s.io/v1`;
const connections = new Agent({ keepAlive: true, maxSockets: 16, ca });
const issued = new Map<string, (chain: string) => void>();
const mounted: string[] = [];
let made = 0;

/** The cheapest there is, as for the agent. */
function mountMeans(): MountMeans {
  try {
    return withSystemCalls();
  } catch {
    return withPrograms(systemPrograms);
  }
}

function assertDone(result: Awaited<ReturnType<MountMeans['mount']>>): void {
  if (!result.ok) {
    throw new Error(result.message);
  }
}

function generate(keyType: KeyType): Promise<{ readonly privateKey: KeyObject; readonly publicKey: KeyObject }> {
  switch (keyType) {
    case 'ECDSAP256':
      return makeKeyPair('ec', { namedCurve: 'P-256' });
    case 'ECDSAP384':
      return makeKeyPair('ec', { namedCurve: 'P-384' });
    case 'ECDSAP521':
      return makeKeyPair('ec', { namedCurve: 'P-521' });
    case 'ED25519':
      return makeKeyPair('ed25519');
    case 'RSA3072':
      return makeKeyPair('rsa', { modulusLength: 3072 });
    case 'RSA4096':
      return makeKeyPair('rsa', { modulusLength: 4096 });
    default:
      return keyType satisfies never;
  }
}

function post(path: string, body: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const call = request(url + path, { method: 'POST', agent: connections, headers }, (response) => {
    response.resume();
    response.on('end', resolve);
  });
  call.on('error', reject);
  call.end(body);
  return promise;
}

function openWatch(): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const query = `watch=true&fieldSelector=spec.nodeName%3D${floorNode}`;
  const call = request(`${url}${collection}/podcertificaterequests?${query}`, { ca }, (response) => {
    resolve();
    createInterface({ input: response }).on('line', (line) => {
      const { object } = JSON.parse(line);
      const chain = object.status?.certificateChain;
      if (chain !== undefined) {
        issued.get(object.metadata.name)?.(chain);
      }
    });
  });
  call.on('error', reject);
  call.end();
  return promise;
}

async function one(keyType: KeyType): Promise<number> {
  made += 1;
  const name = `floor-${made}`;
  const volume = join(directory, name);
  const startedAt = performance.now();
  const { privateKey, publicKey } = await generate(keyType);
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const proof = sign(keyType === 'ED25519' ? null : 'sha256', Buffer.from(name), privateKey);
  const { promise, resolve } = Promise.withResolvers<string>();
  issued.set(name, resolve);
  const spec = {
    ...{ signerName, podName: name, podUID: name, serviceAccountName: 'default', serviceAccountUID: 'u' },
    ...{ nodeName: floorNode, nodeUID: 'u', maxExpirationSeconds: 86_400 },
    ...{ pkixPublicKey: spki.toString('base64'), proofOfPossession: proof.toString('base64') },
  };
  const object = { apiVersion: 'certificates.k8s.io/v1', kind: 'PodCertificateRequest', metadata: { name }, spec };
  await post(`${collection}/namespaces/floor/podcertificaterequests`, JSON.stringify(object));
  const chain = await promise;
  issued.delete(name);
  await mkdir(volume);
  if (volumeMode === 'tmpfs') {
    assertDone(await means.mount('tmpfs', volume, 'mode=0755,size=1m'));
    mounted.push(volume);
  }
  await mkdir(join(volume, '..1'));
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' });
  await writeFile(join(volume, '..1/tls.pem'), `${key}${chain}`, { mode: 0o600 });
  await symlink('..1', join(volume, '..data_tmp'));
  await rename(join(volume, '..data_tmp'), join(volume, '..data'));
  await symlink('..data/tls.pem', join(volume, 'tls.pem'));
  return performance.now() - startedAt;
}

async function clean(): Promise<undefined> {
  for (const volume of mounted.splice(0)) {
    assertDone(await means.unmount(volume));
    await rm(volume, { recursive: true });
  }
}

await openWatch();
answerCalls<FloorCalls>({
  run: (keyTypes: readonly KeyType[]) => Promise.all(keyTypes.map(one)),
  clean,
  processorMs: () => processorMs(process.pid),
});

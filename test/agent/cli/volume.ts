/** Volumes as they are projected, made of real certificates. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { createRootAuthority, type TestAuthority } from '../../support/certificates.ts';
import { makeDirectory } from '../../support/directory.ts';

export const hours = 3_600_000;

export interface Identity {
  /** PKCS#8 PEM. */
  readonly key: string;
  readonly spki: Uint8Array;
}

export function createIdentity(): Identity {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { key: pem(privateKey), spki: publicKey.export({ type: 'spki', format: 'der' }) };
}

export interface Material extends Identity {
  readonly root: TestAuthority;
  readonly intermediate: TestAuthority;
  /** PEM. */
  readonly leaf: string;
}

/** A key, its leaf, the authority that issued it and the root above. Times are relative to now. */
export async function createMaterial(fromMs = -hours, toMs = 23 * hours): Promise<Material> {
  const root = await createRootAuthority('CN=root');
  const intermediate = await root.issueAuthority('CN=issuing');
  const identity = createIdentity();
  const now = Date.now();
  const times = { notBefore: now + fromMs, notAfter: now + toMs };
  const leaf = await intermediate.issueLeaf({ spki: identity.spki, ...times });
  return { ...identity, root, intermediate, leaf };
}

/** Writes files into a directory of its own. @param mode of each file */
export function createDirectory(t: TestContext, files: Readonly<Record<string, string>>, mode = 0o640): string {
  const directory = makeDirectory(t);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), content, { mode });
  }
  return directory;
}

/** The same as an AtomicWriter lays it out: names lead through `..data` to a version. */
export function createVolume(t: TestContext, files: Readonly<Record<string, string>>, mode?: number): string {
  const version = '..2026_11_22_10_00_00.123456789';
  const versioned = Object.entries(files).map(([path, content]) => [`${version}/${path}`, content]);
  const directory = createDirectory(t, Object.fromEntries(versioned), mode);
  symlinkSync(version, join(directory, '..data'));
  for (const name of new Set(Object.keys(files).map((path) => path.split('/', 1)[0] ?? ''))) {
    symlinkSync(`..data/${name}`, join(directory, name));
  }
  return directory;
}

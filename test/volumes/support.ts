/**
 * What tests of volumes share: a kubelet's directory tree in a temporary place, records, certificates by OpenSSL, and
 * whether this run may mount.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import type { FileOwner, SourceContent, VolumeRecord } from '../../volumes/base/volume.ts';
import type { Source } from '../../volumes/declaration/types.ts';
import { makeDirectory } from '../support/directory.ts';

/** The reason why tests with real mounts cannot run here, or false when they can. */
export const mountSkip: string | false = whyNoMounts();
/** The reason why tests that give files away cannot run here, or false when they can. */
export const rootSkip: string | false = process.geteuid?.() === 0 ? false : 'needs root to give files to other users';

function whyNoMounts(): string | false {
  if (process.geteuid?.() !== 0) {
    return 'needs root to mount a tmpfs';
  }
  const directory = makeDirectory();
  try {
    execFileSync('mount', ['-t', 'tmpfs', 'probe', directory], { stdio: 'ignore' });
    execFileSync('umount', [directory], { stdio: 'ignore' });
    return false;
  } catch {
    return 'needs the right to mount a tmpfs';
  }
}

/** A temporary directory that other users can enter; removed after the test, with everything mounted below it. */
export function temporaryDirectory(t: TestContext): string {
  const after = (remove: () => void) =>
    t.after(() => {
      for (const mountPoint of mountPointsBelow(directory).reverse()) {
        execFileSync('umount', ['-l', mountPoint]);
      }
      remove();
    });
  const directory = makeDirectory({ after });
  fs.chmodSync(directory, 0o755);
  return directory;
}

/** Mount points below a directory; the kernel lists them with their spaces escaped. */
export function mountPointsBelow(directory: string): string[] {
  const lines = fs.readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const mountPoints = lines.map((line) => (line.split(' ')[4] ?? '').replaceAll('\\040', ' '));
  return mountPoints.filter((mountPoint) => mountPoint.startsWith(`${directory}/`));
}

export const podUID = '0b7a4a6e-93a5-4d3c-8f53-1f6a1a3c0d11';

/** The target path of a volume, with the directories that the kubelet makes above it. */
export function makeTarget(kubeletRoot: string, volumeName = 'mtls', uid = podUID): string {
  const parent = path.join(kubeletRoot, 'pods', uid, 'volumes', 'kubernetes.io~csi', volumeName);
  fs.mkdirSync(parent, { recursive: true });
  return path.join(parent, 'mount');
}

export const certificateSource = {
  kind: 'podCertificate',
  index: 0,
  signerName: 'example.com/mesh',
  keyType: 'ED25519',
  userAnnotations: {},
  credentialBundlePath: 'credentials.pem',
  keyPath: 'parts/key.pem',
  certificateChainPath: 'parts/chain.pem',
} as const satisfies Source;

export const anchorsSource = {
  kind: 'clusterTrustBundle',
  index: 1,
  select: { by: 'name', name: 'roots' },
  optional: false,
  path: 'trust-anchors.pem',
} as const satisfies Source;

/** A record with both kinds of sources. */
export function makeRecord(targetPath: string, more: Partial<VolumeRecord> = {}): VolumeRecord {
  const owner: FileOwner = { kind: 'none' };
  return {
    volumeId: 'csi-0123',
    targetPath,
    volumeName: 'mtls',
    pod: { namespace: 'shop', name: 'web-0', uid: podUID, serviceAccountName: 'web' },
    declaration: { sources: [certificateSource, anchorsSource] },
    owner,
    ...more,
  };
}

/** What is noted of a certificate, where nothing depends on what it says. */
export const someCertificate = {
  requestName: 'req',
  keyType: 'ED25519',
  serialNumber: '01',
  notBefore: 1,
  notAfter: 3,
  beginRefreshAt: 2,
  refreshAt: 2,
} as const;

/** A credential whose bytes all follow from one number, so that mixed sets can be told apart. */
export function credential(generation: number): SourceContent {
  const key = new Uint8Array(48).fill(generation);
  return { kind: 'credential', privateKey: key, certificates: [Uint8Array.of(48, generation), Uint8Array.of(49)] };
}

export function anchors(generation: number, bytes = 64): SourceContent {
  return { kind: 'trustAnchors', certificates: [new Uint8Array(bytes).fill(generation)] };
}

/** How many files and directories this process has open, the one that is looked at for it among them. */
export function openFiles(): number {
  return fs.readdirSync('/proc/self/fd').length;
}

/** Mode bits as an octal string. */
export function modeOf(file: string): string {
  return (fs.statSync(file).mode & 0o7777).toString(8);
}

/** All paths below a directory except the agent's own state, with what each is. */
export function visibleTree(directory: string): Record<string, string> {
  const entries = fs.readdirSync(directory).filter((name) => !name.startsWith('..'));
  return Object.fromEntries(entries.map((name) => [name, fs.readlinkSync(path.join(directory, name))]));
}

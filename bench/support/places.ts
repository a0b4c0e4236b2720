/**
 * Where a bench's node is: a directory with a kubelet's root in it. For root it holds tmpfs mounts, on a directory that is
 * mounted shared as the kubelet's is; without root volumes are directories, and the results say so.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type VolumeMode = 'tmpfs' | 'directory';

export interface Places {
  readonly directory: string;
  readonly kubeletRoot: string;
  readonly csiSocket: string;
  readonly kubeconfig: string;
  readonly volumeMode: VolumeMode;
  /** Unmounts and deletes everything. */
  remove(): void;
}

/** @param wanted default: tmpfs where it can be had */
export function makePlaces(wanted: VolumeMode = 'tmpfs'): Places {
  const directory = mkdtempSync(join(tmpdir(), 'bench-'));
  const kubeletRoot = join(directory, 'kubelet');
  const pods = join(kubeletRoot, 'pods');
  mkdirSync(pods, { recursive: true });
  mkdirSync(join(kubeletRoot, 'plugins'), { recursive: true });
  const volumeMode = wanted === 'tmpfs' && mountShared(pods) ? 'tmpfs' : 'directory';
  const remove = (): void => {
    process.off('exit', remove);
    for (const mountPoint of mountPointsBelow(directory).toReversed()) {
      execFileSync('umount', ['-l', mountPoint]);
    }
    rmSync(directory, { recursive: true, force: true });
  };
  process.once('exit', remove);
  return {
    directory,
    kubeletRoot,
    csiSocket: join(directory, 'csi.sock'),
    kubeconfig: join(directory, 'kubeconfig'),
    volumeMode,
    remove,
  };
}

function mountShared(directory: string): boolean {
  if (process.getuid?.() !== 0) {
    return false;
  }
  try {
    execFileSync('mount', ['--bind', directory, directory], { stdio: 'ignore' });
    // Private first: shared then means a group of its own, whatever the mount above it belongs to.
    execFileSync('mount', ['--make-rprivate', directory]);
    execFileSync('mount', ['--make-rshared', directory]);
    return true;
  } catch {
    return false;
  }
}

function mountPointsBelow(directory: string): readonly string[] {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return lines.flatMap((line) => {
    const [, , , , mountPoint = ''] = line.split(' ');
    return mountPoint.startsWith(`${directory}/`) ? [mountPoint] : [];
  });
}

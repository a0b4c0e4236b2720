/**
 * The kubelet's own files around a CSI volume: the directory, `vol_data.json` in it, and their removal.
 *
 * The target itself is the driver's; what the kubelet removes it removes without descending, so that files which a driver
 * left there are never lost by it.
 */
import { lstat, mkdir, readdir, readFile, rmdir, stat, unlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type PodVolume, podVolume, podVolumesDirectory } from './pod.ts';

const dataFile = 'vol_data.json';

/** What the kubelet must know of a volume after its own restart. */
export interface VolumeData {
  readonly driverName: string;
  readonly nodeName: string;
  readonly specVolID: string;
  readonly volumeHandle: string;
  readonly volumeLifecycleMode: 'Ephemeral';
}

/** Makes the directory and writes `vol_data.json`. */
export async function prepareVolume(volume: PodVolume, driverName: string, nodeName: string): Promise<void> {
  const data: VolumeData = {
    driverName,
    nodeName,
    specVolID: volume.name,
    volumeHandle: volume.volumeId,
    volumeLifecycleMode: 'Ephemeral',
  };
  await mkdir(volume.directory, { recursive: true, mode: 0o750 });
  await writeFile(join(volume.directory, dataFile), JSON.stringify(data));
}

/** True when an earlier run of the kubelet began to publish the volume. */
export async function isPrepared(volume: PodVolume): Promise<boolean> {
  return (await lstat(join(volume.directory, dataFile)).catch(absent)) !== undefined;
}

/**
 * Removes target, `vol_data.json` and directory, and the pod's directories once they are empty.
 * @throws Error when something is mounted at the target or lies in it.
 */
export async function removeVolume(volume: PodVolume): Promise<void> {
  if (await isMounted(volume)) {
    throw new Error(`something is mounted at ${volume.targetPath}`);
  }
  await rmdir(volume.targetPath).catch(absent);
  await unlink(join(volume.directory, dataFile)).catch(absent);
  await rmdir(volume.directory).catch(absent);
  const podDirectory = dirname(dirname(dirname(volume.directory)));
  for (const path of [dirname(volume.directory), dirname(dirname(volume.directory)), podDirectory]) {
    // Other volumes of the pod may be there still.
    await rmdir(path).catch(() => {});
  }
}

async function isMounted(volume: PodVolume): Promise<boolean> {
  const [target, parent] = await Promise.all([
    stat(volume.targetPath).catch(absent),
    stat(volume.directory).catch(absent),
  ]);
  return target !== undefined && parent !== undefined && target.dev !== parent.dev;
}

/** Volumes of a driver that lie below the root, by pod UID: what earlier runs of the kubelet left. */
export async function findVolumes(
  root: string,
  driverName: string,
): Promise<ReadonlyMap<string, readonly PodVolume[]>> {
  const found = new Map<string, readonly PodVolume[]>();
  for (const podUID of (await readdir(join(root, 'pods')).catch(absent)) ?? []) {
    const names = (await readdir(podVolumesDirectory(root, podUID)).catch(absent)) ?? [];
    const volumes = names.map((name) => podVolume(root, podUID, name));
    const drivers = await Promise.all(volumes.map(driverOf));
    const own = volumes.filter((_, index) => drivers[index] === driverName);
    if (own.length > 0) {
      found.set(podUID, own);
    }
  }
  return found;
}

async function driverOf(volume: PodVolume): Promise<string | undefined> {
  const text = await readFile(join(volume.directory, dataFile), 'utf8').catch(absent);
  if (text === undefined) {
    return undefined;
  }
  try {
    const data: Partial<VolumeData> = JSON.parse(text);
    return data.driverName;
  } catch {
    // Torn by a crash: the pod's next publish writes it anew.
    return undefined;
  }
}

/** Turns "does not exist" into undefined; every other error stays one. */
function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') {
    return undefined;
  }
  throw error;
}

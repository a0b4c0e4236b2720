/**
 * Finds the volumes that an earlier run of the agent left on this node.
 */
import fs from 'node:fs';
import path from 'node:path';
import { systemCode } from './base/errors.ts';
import type { KubeletNotes } from './base/volume.ts';
import { readRegularFile } from './files/files.ts';
import { lstat } from './files/hold.ts';
import type { Mounts } from './mounts/mounts.ts';
import { beginningBelow, readTargetPath, targetDirectories } from './mounts/target-path.ts';
import { fields, text } from './state/json-fields.ts';
import { maxTextLengths } from './state/limits.ts';
import { hasState } from './state/state.ts';

/** What the kubelet keeps beside a target, and reads back after its own restart. */
const kubeletFile = 'vol_data.json';
/** A dozen short fields. */
const maxNotesBytes = 64 * 1024;

/**
 * Target paths that hold a volume, each once, in a stable order.
 * @param mounts reads the mount table; without it the kubelet's directory tree is searched.
 */
export function scanTargets(kubeletRoot: string, mounts: Pick<Mounts, 'own'> | undefined): readonly string[] {
  const found = mounts === undefined ? directoryTargets(kubeletRoot) : mountedTargets(kubeletRoot, mounts);
  return [...new Set(found)].filter((target) => readTargetPath(kubeletRoot, target) !== undefined).sort();
}

function mountedTargets(kubeletRoot: string, mounts: Pick<Mounts, 'own'>): readonly string[] {
  const beginning = beginningBelow(fs.realpathSync(kubeletRoot));
  const below = mounts.own().filter((entry) => entry.mountPoint.startsWith(beginning));
  return below.map((entry) => path.join(kubeletRoot, entry.mountPoint.slice(beginning.length)));
}

function directoryTargets(kubeletRoot: string): readonly string[] {
  const pods = path.join(kubeletRoot, targetDirectories.pods);
  return list(pods).flatMap((pod) => {
    const volumes = path.join(pods, pod, targetDirectories.volumes);
    return list(volumes)
      .map((volume) => path.join(volumes, volume, targetDirectories.mount))
      .filter((target) => hasState(target));
  });
}

function list(directory: string): readonly string[] {
  try {
    return fs.readdirSync(directory);
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') {
      return [];
    }
    throw error;
  }
}

/** The targets that the kubelet has no notes on: after its restart it will never unpublish them. */
export function findUnknownToKubelet(targets: readonly string[]): readonly string[] {
  return targets.filter((target) => lstat(notesFile(target)) === undefined);
}

/**
 * The kubelet's notes on a volume. They lie on the kubelet's disk above the mount, where only root of the node writes.
 * `unreadable`: torn by a crash, or of another driver.
 */
export function readKubeletNotes(target: string, driver: string): KubeletNotes | 'none' | 'unreadable' {
  const file = notesFile(target);
  const stats = lstat(file);
  if (stats === undefined) {
    return 'none';
  }
  try {
    const notes = fields(JSON.parse(readRegularFile(file, maxNotesBytes, stats.dev).toString('utf8')), kubeletFile);
    const driverName = text(notes, 'driverName', maxTextLengths.name);
    const found = {
      driverName,
      volumeName: text(notes, 'specVolID', maxTextLengths.name),
      volumeId: text(notes, 'volumeHandle', maxTextLengths.name),
    };
    return driverName === driver ? found : 'unreadable';
  } catch {
    return 'unreadable';
  }
}

function notesFile(target: string): string {
  return path.join(path.dirname(target), kubeletFile);
}

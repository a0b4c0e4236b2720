/**
 * The path at which the kubelet wants a volume:
 *
 *     <kubelet root>/pods/<pod UID>/volumes/kubernetes.io~csi/<volume name>/mount
 *
 * The agent mounts, writes and deletes there as root, so the path must have exactly this form, and no element below the
 * kubelet's root may be a symlink.
 */
import path from 'node:path';
import { VolumeError } from '../base/errors.ts';
import { isDnsLabel } from '../declaration/names.ts';
import { lstat } from '../files/hold.ts';

const pluginDirectory = 'kubernetes.io~csi';
const podUID = /^[0-9A-Za-z][-0-9A-Za-z]{0,127}$/;

/** What a target path says about its volume. */
export interface TargetPath {
  readonly podUID: string;
  readonly volumeName: string;
}

/** A pod UID that can be an element of a path: letters, digits and dashes, at most 128. */
export function isPodUID(text: string): boolean {
  return podUID.test(text);
}

/** What the paths of all that lies below a directory begin with. */
export function beginningBelow(directory: string): string {
  return directory === '/' ? directory : `${directory}/`;
}

/** @returns undefined where the path is not of the form */
export function readTargetPath(kubeletRoot: string, targetPath: string): TargetPath | undefined {
  const beginning = beginningBelow(kubeletRoot);
  const [pods, uid = '', volumes, plugin, volumeName = '', mount, ...rest] = targetPath.startsWith(beginning)
    ? targetPath.slice(beginning.length).split('/')
    : [];
  const isTarget =
    pods === 'pods' &&
    isPodUID(uid) &&
    volumes === 'volumes' &&
    plugin === pluginDirectory &&
    isDnsLabel(volumeName) &&
    mount === 'mount' &&
    rest.length === 0;
  return isTarget ? { podUID: uid, volumeName } : undefined;
}

/** @throws VolumeError InvalidTarget */
export function parseTargetPath(kubeletRoot: string, targetPath: string): TargetPath {
  const target = readTargetPath(kubeletRoot, targetPath);
  if (target !== undefined) {
    return target;
  }
  throw new VolumeError(
    'InvalidTarget',
    `target path ${JSON.stringify(targetPath.slice(0, 256))} is not of the form ` +
      `${beginningBelow(kubeletRoot)}pods/<pod UID>/volumes/${pluginDirectory}/<volume name>/mount`,
  );
}

/** @throws VolumeError InvalidTarget when an element of the path below the kubelet's root is a symlink. */
export function assertNoSymlink(kubeletRoot: string, targetPath: string): void {
  let element = kubeletRoot;
  for (const name of path.relative(kubeletRoot, targetPath).split('/')) {
    element = path.join(element, name);
    const stats = lstat(element);
    if (stats === undefined) {
      return;
    }
    if (!stats.isDirectory()) {
      throw new VolumeError('InvalidTarget', `${element} is not a directory`);
    }
  }
}

/** Where volumes may be found: the directories above all target paths, in the order of a search. */
export const targetDirectories = { pods: 'pods', volumes: path.join('volumes', pluginDirectory), mount: 'mount' };

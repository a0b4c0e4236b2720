/**
 * The mount table as the kernel shows it in /proc/self/mountinfo.
 *
 * https://www.kernel.org/doc/html/latest/filesystems/proc.html#proc-pid-mountinfo-information-about-mounts
 */
import fs from 'node:fs';
import path from 'node:path';
import { VolumeError } from '../base/errors.ts';

/** One mount. */
export interface MountEntry {
  readonly id: number;
  readonly parentId: number;
  /** `major:minor` of the file system; every tmpfs has its own. */
  readonly device: string;
  /** What of the file system is mounted: `/`, or a directory of it. */
  readonly root: string;
  /** Absolute path, unescaped. */
  readonly mountPoint: string;
  /** `tmpfs`, `ext4`, … */
  readonly fileSystemType: string;
  /** What is mounted; for tmpfs the name that its mounter gave. */
  readonly source: string;
  /** Mounts made below it reach its peers: the host, and through it the pods. */
  readonly isShared: boolean;
}

export function readMountTable(): readonly MountEntry[] {
  return parseMountTable(fs.readFileSync('/proc/self/mountinfo', 'utf8'));
}

/** Reads the text of a mountinfo file; lines of another form are left out. */
export function parseMountTable(text: string): readonly MountEntry[] {
  return text.split('\n').flatMap((line) => parseLine(line) ?? []);
}

function parseLine(line: string): MountEntry | undefined {
  // 36 35 98:0 /root /mount/point rw,noatime shared:1 master:2 - ext4 /dev/root rw,errors=continue
  const fields = line.split(' ');
  const separator = fields.indexOf('-', 6);
  const [id, parentId, device, root, mountPoint] = fields;
  const [fileSystemType, source] = fields.slice(separator + 1);
  if (
    separator < 0 ||
    !device ||
    !root ||
    mountPoint === undefined ||
    fileSystemType === undefined ||
    source === undefined
  ) {
    return undefined;
  }
  return {
    id: Number(id),
    parentId: Number(parentId),
    device,
    root: decodeOctal(root),
    mountPoint: decodeOctal(mountPoint),
    fileSystemType,
    source: decodeOctal(source),
    isShared: fields.slice(6, separator).some((field) => field.startsWith('shared:')),
  };
}

/** The kernel writes space, tab, newline, backslash and `#` as three octal digits; the rest is UTF-8. */
function decodeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_match, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** The mounts at exactly this path, the visible one last. */
export function mountsAt(table: readonly MountEntry[], mountPoint: string): readonly MountEntry[] {
  const layers = table.filter((entry) => entry.mountPoint === mountPoint);
  const isCovered = (entry: MountEntry) => layers.some((other) => other !== entry && other.parentId === entry.id);
  return [...layers.filter(isCovered), ...layers.filter((entry) => !isCovered(entry))];
}

/** True when what is mounted here, or a part of it, is also mounted at a path that lies neither here nor below. */
export function isMountedElsewhere(table: readonly MountEntry[], { device, mountPoint }: MountEntry): boolean {
  const isHere = (other: string) => other === mountPoint || other.startsWith(`${mountPoint}/`);
  return table.some((other) => other.device === device && !isHere(other.mountPoint));
}

/** `major:minor` of the file system that a file lies on, which the kernel puts into one number otherwise. */
export function deviceOf({ dev }: Pick<fs.Stats, 'dev'>): string {
  return `${(dev >>> 8) & 0xfff}:${((dev >>> 12) & 0xf_ff00) | (dev & 0xff)}`;
}

/**
 * Checks that what the agent mounts below `directory` will be seen by the kubelet and the pods. @throws VolumeError
 * MountFailed that says what to set.
 */
export function assertMountPropagation(table: readonly MountEntry[], directory: string): void {
  const isAbove = ({ mountPoint }: MountEntry) => directory === mountPoint || directory.startsWith(`${mountPoint}/`);
  const length = table.reduce((longest, e) => (isAbove(e) ? Math.max(longest, e.mountPoint.length) : longest), 0);
  // Where none is above it is the root.
  const nearest = mountsAt(table, directory.slice(0, length) || '/').at(-1);
  if (nearest?.isShared) {
    return;
  }
  throw new VolumeError(
    'MountFailed',
    `${directory} is not mounted shared, so volumes mounted there would not reach the pods: ` +
      'give its volumeMount in the agent\'s own container, and in no other, "mountPropagation: Bidirectional" as the chart does ' +
      '(which needs "privileged: true"), and make the mount shared on the host, as systemd does ("mount --make-rshared /")',
  );
}

/**
 * The same for the volumes of a node, before the first one is mounted.
 * @throws VolumeError NoParent or MountFailed, saying what to set
 */
export function assertVolumesReachPods(kubeletRoot: string): void {
  const directory = path.join(kubeletRoot, 'pods');
  let real: string;
  try {
    real = fs.realpathSync(directory);
  } catch (cause) {
    const message =
      `${directory} cannot be found: set kubelet-root to the kubelet's --root-dir, ` +
      "and mount that directory at the same path into the agent's container";
    throw new VolumeError('NoParent', message, cause);
  }
  assertMountPropagation(readMountTable(), real);
}

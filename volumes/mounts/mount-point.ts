/**
 * Whether something is mounted at a volume's target path, asked of the kernel for this path alone. It writes the whole mount table out
 * for whoever reads it, milliseconds on a node with some hundred containers; which mount an open directory belongs to costs nothing.
 *
 * https://www.kernel.org/doc/html/latest/filesystems/proc.html#proc-pid-fdinfo-fd-information-about-opened-file
 */
import fs from 'node:fs';
import path from 'node:path';
import { systemCode } from '../base/errors.ts';

const { O_DIRECTORY, O_NOFOLLOW } = fs.constants;
/** Opens the place and not what lies there, so that no file system is asked; Node.js does not name it. */
const O_PATH = 0o10000000;
/** From a target path to the directory of all pods: what is mounted in between would hide a mount from whoever looks along the path. */
const toPods = '../../../../..';

/**
 * `bare`: nothing, and nothing that something else hides. `mounted`: something. `unclear`: only the mount table can tell, as where a
 * directory on the way is a mount itself, or no directory lies at the path.
 */
export type MountPoint = 'bare' | 'mounted' | 'unclear';

/** @param target with all links above it resolved; none at its end is followed */
export function lookAtMountPoint(target: string): MountPoint {
  const held: number[] = [];
  const mountOf = (directory: string): string | undefined => {
    const descriptor = fs.openSync(directory, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    // All are held until the end: the kernel gives the number of a mount that has gone to another.
    held.push(descriptor);
    return /^mnt_id:.*$/m.exec(describe(descriptor))?.[0];
  };
  try {
    const above = mountOf(path.dirname(target));
    if (above === undefined || above !== mountOf(path.join(target, toPods))) {
      return 'unclear';
    }
    return mountOf(target) === above ? 'bare' : 'mounted';
  } catch (error) {
    if (systemCode(error) === undefined) {
      throw error;
    }
    // Of the three only the target may be missing: the other two were opened.
    return systemCode(error) === 'ENOENT' && held.length === 2 ? 'bare' : 'unclear';
  } finally {
    for (const descriptor of held) {
      fs.closeSync(descriptor);
    }
  }
}

/** Longer than what the kernel says of a descriptor that is a directory. */
const said = Buffer.alloc(512);

function describe(descriptor: number): string {
  const file = fs.openSync(`/proc/self/fdinfo/${descriptor}`, 'r');
  try {
    return said.toString('latin1', 0, fs.readSync(file, said));
  } finally {
    fs.closeSync(file);
  }
}

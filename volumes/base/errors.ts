/**
 * The typed error of everything that touches the node's file system. Messages name paths and system errors, never what
 * a file holds.
 */

/** What went wrong, as a word that code can tell apart; the set is closed. */
export type VolumeErrorCode =
  /** The target path is not one that the kubelet gives out, or does not belong to the pod it came with. */
  | 'InvalidTarget'
  /** The directory that the kubelet makes for the volume is not there. */
  | 'NoParent'
  /** Something that is not ours is mounted at the target path. */
  | 'Foreign'
  /** A symlink or another kind of object lies where the agent keeps files or directories of its own. */
  | 'Tampered'
  /** The tmpfs could not be mounted. */
  | 'MountFailed'
  /** The tmpfs could not be unmounted. */
  | 'UnmountFailed'
  /** The volume was unmounted or replaced while it was open. */
  | 'Gone'
  /** The volume, or the node's memory, has no room. */
  | 'NoSpace'
  /** The pod's volumes would take more of the node's memory than one pod may have; only its author can make them smaller. */
  | 'OverShare'
  /** A file of the volume's state is missing or cannot be understood. */
  | 'Corrupt'
  /** Any other error of the file system. */
  | 'FileSystem'
  /** A unix socket cannot be served: another process serves it, or its path is unusable. */
  | 'SocketUnusable';

export class VolumeError extends Error {
  override readonly name = 'VolumeError';
  readonly code: VolumeErrorCode;

  constructor(code: VolumeErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/**
 * What an error says, of whatever was thrown.
 * @param otherwise what is said of something that is no Error; by default, its text
 */
export function messageOf(error: unknown, otherwise?: string): string {
  return error instanceof Error ? error.message : (otherwise ?? String(error));
}

/** The system's name for an error (`ENOENT`), if it has one. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) {
    return undefined;
  }
  return typeof error.code === 'string' ? error.code : undefined;
}

/**
 * An error of the file system as a VolumeError; one that is a VolumeError already stays as it is.
 * @param doing what was being done, in words that a message can begin with ("writing the volume's files").
 */
export function toVolumeError(error: unknown, doing: string): VolumeError {
  if (error instanceof VolumeError) {
    return error;
  }
  const reason = messageOf(error);
  return new VolumeError(codeFor(systemCode(error)), `${doing}: ${reason}`, error);
}

function codeFor(system: string | undefined): VolumeErrorCode {
  switch (system) {
    case 'ENOSPC':
    case 'EDQUOT':
      return 'NoSpace';
    case 'ELOOP':
      return 'Tampered';
    default:
      return 'FileSystem';
  }
}

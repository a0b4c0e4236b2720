/**
 * Lays out the files of a volume: which path holds which bytes, with which mode and owner.
 *
 * Modes and owners are those of the kubelet's projected volumes, except that a private key is never readable by others:
 *
 * | owner                          | key files              | other files        | directories |
 * |--------------------------------|------------------------|--------------------|-------------|
 * | fsGroup                        | root:fsGroup 0640      | root:fsGroup 0640  | 0750        |
 * | one runAsUser                  | runAsUser:root 0600    | runAsUser:root 0600| 0700        |
 * | neither                        | root:root defaultMode, | defaultMode, else  | 0755 if a file is for others, |
 * |                                | else 0600              | 0644               | else 0750   |
 *
 * As in the kubelet, `defaultMode` counts only where nobody owns the files. A directory of an ownerless volume opens up
 * to everybody only when a file in it is meant for everybody: a pod whose user is set by its image must reach its trust
 * anchors, and must be able to list the directory to watch it. On the host the kubelet's directories above the
 * volume keep other users out all the same.
 */

import type { FileOwner, SourceContent } from '../base/volume.ts';
import type { Source, VolumeDeclaration } from '../declaration/types.ts';
import { type FileContent, wholeContent } from './content.ts';
import type { Access } from './files.ts';
import { encodePem, type PemBlock } from './pem.ts';

/** A file of the volume. Owners are absent where the agent may not set them. */
export interface ProjectedFile extends Access {
  /** Relative to the volume's root. */
  readonly path: string;
  readonly content: FileContent;
}

/** The modes and owner of a volume's files and directories. */
export interface VolumeAccess {
  readonly key: Access;
  readonly other: Access;
  readonly directory: Access;
}

const defaultFileMode = 0o644;
const defaultKeyMode = 0o600;

/**
 * @param setOwners false where the agent runs without the right to give files away: everything then stays its own.
 */
export function volumeAccess(declaration: VolumeDeclaration, owner: FileOwner, setOwners: boolean): VolumeAccess {
  const access = (mode: number, uid: number, gid: number): Access => (setOwners ? { mode, uid, gid } : { mode });
  switch (owner.kind) {
    case 'group': {
      const file = access(0o640, 0, owner.gid);
      return { key: file, other: file, directory: access(0o750, 0, owner.gid) };
    }
    case 'user': {
      const file = access(0o600, owner.uid, 0);
      return { key: file, other: file, directory: access(0o700, owner.uid, 0) };
    }
    case 'none': {
      const keyMode = (declaration.defaultMode ?? defaultKeyMode) & ~0o007;
      const otherMode = declaration.defaultMode ?? defaultFileMode;
      const isForOthers = (otherMode & 0o007) !== 0 && declaration.sources.some(hasPublicFile);
      return {
        key: access(keyMode, 0, 0),
        other: access(otherMode, 0, 0),
        directory: access(isForOthers ? 0o755 : 0o750, 0, 0),
      };
    }
    default:
      return owner satisfies never;
  }
}

function hasPublicFile(source: Source): boolean {
  return source.kind === 'clusterTrustBundle' || publicFields.some((field) => source[field] !== undefined);
}

const keyFields = ['credentialBundlePath', 'keyPath'] as const;
const publicFields = ['certificateChainPath', 'leafPath', 'intermediatesPath', 'caPath'] as const;

/** The paths of all files that a source writes. */
export function sourcePaths(source: Source): readonly string[] {
  if (source.kind === 'clusterTrustBundle') {
    return [source.path];
  }
  return [...keyFields, ...publicFields].flatMap((field) => source[field] ?? []);
}

/** What the files of several sources are made with. */
export interface LayoutTools {
  readonly access: VolumeAccess;
  /** Content for certificates: the same for the same ones. */
  readonly contentOf: (certificates: readonly Uint8Array[]) => FileContent;
  /** Takes each buffer that holds a key, for whoever overwrites them. */
  readonly secrets: Uint8Array[];
}

/**
 * The files of one source. Key material appears in buffers made here, which go to `secrets`.
 * @throws TypeError when the content is of another kind than the source.
 */
export function layOut(
  source: Source,
  content: SourceContent,
  { access, contentOf, secrets }: LayoutTools,
): readonly ProjectedFile[] {
  switch (source.kind) {
    case 'clusterTrustBundle': {
      if (content.kind !== 'trustAnchors') {
        throw new TypeError(`source ${source.index} holds trust anchors only`);
      }
      return [{ path: source.path, content: contentOf(content.certificates), ...access.other }];
    }
    case 'podCertificate': {
      if (content.kind !== 'credential') {
        throw new TypeError(`source ${source.index} holds a credential only`);
      }
      const key: PemBlock = { label: 'PRIVATE KEY', bytes: content.privateKey };
      const chain = certificateBlocks(content.certificates);
      const blocks = {
        credentialBundlePath: [key, ...chain],
        keyPath: [key],
        certificateChainPath: chain,
        leafPath: chain.slice(0, 1),
        intermediatesPath: chain.slice(1),
        caPath: certificateBlocks(content.anchors ?? []),
      } satisfies Record<(typeof keyFields)[number] | (typeof publicFields)[number], readonly PemBlock[]>;
      const file = (field: keyof typeof blocks, how: Access): ProjectedFile[] => {
        const path = source[field];
        if (path === undefined) {
          return [];
        }
        const bytes = encodePem(blocks[field]);
        secrets.push(bytes);
        return [{ path, content: wholeContent(bytes), ...how }];
      };
      return [
        ...keyFields.flatMap((field) => file(field, access.key)),
        ...publicFields.flatMap((field) => file(field, access.other)),
      ];
    }
    default:
      return source satisfies never;
  }
}

function certificateBlocks(certificates: readonly Uint8Array[]): readonly PemBlock[] {
  return certificates.map((bytes) => ({ label: 'CERTIFICATE', bytes }));
}

/** The agent's own state, links, and a small set of files twice. */
const baseBytes = 512 * 1024;
/** The key of a request, the request, and a key and a chain of usual length in the files. */
const credentialBytes = 64 * 1024;

/** How large a volume is made. It grows with what is written. */
export function firstSizeBytes({ sources }: VolumeDeclaration): number {
  return baseBytes + sources.filter(({ kind }) => kind === 'podCertificate').length * credentialBytes;
}

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
 *
 * A source's `user`, else the volume's `defaultUser`, takes the place of the user in the table, and a source's `mode` that of the
 * mode. Without an fsGroup, which lets all of the pod in, the directories follow: they are the files' one user's, and where
 * several users own files, or one is for others, open to all.
 */

import type { FileOwner, SourceContent } from '../base/volume.ts';
import { isForOthers } from '../declaration/access.ts';
import { hasKeystores } from '../declaration/keystore.ts';
import type { PodCertificateSource, Source, VolumeDeclaration } from '../declaration/types.ts';
import { type FileContent, wholeContent } from './content.ts';
import type { Access } from './files.ts';
import { encodePem, type PemBlock } from './pem.ts';
import { withoutRoots } from './roots.ts';

/** A file of the volume. Owners are absent where the agent may not set them. */
export interface ProjectedFile extends Access {
  /** Relative to the volume's root. */
  readonly path: string;
  readonly content: FileContent;
}

/** A file that is made elsewhere, from the same content as the others of its source. */
export interface MadeFile {
  readonly path: string;
  readonly content: FileContent;
  /** True when it holds a private key, or the password of a file that does. */
  readonly isSecret: boolean;
}

/** The modes and owner of a volume's files and directories. */
export interface VolumeAccess {
  /** Of the files of one source: those that hold a private key, and the others. */
  readonly files: (source: Source) => { readonly key: Access; readonly other: Access };
  readonly directory: Access;
  /** Of a file that belongs to no source, and holds nothing secret. */
  readonly beside: Access;
}

const defaultFileMode = 0o644;
const defaultKeyMode = 0o600;

/**
 * @param setOwners false where the agent runs without the right to give files away: everything then stays its own.
 */
export function volumeAccess(declaration: VolumeDeclaration, owner: FileOwner, setOwners: boolean): VolumeAccess {
  const usual = usualAccess(declaration, owner);
  const access = (mode: number, uid: number): Access => (setOwners ? { mode, uid, gid: usual.gid } : { mode });
  const userOf = (source: Source): number => source.user ?? declaration.defaultUser ?? usual.uid;
  const directoryAccess = (): Access => {
    if (owner.kind === 'group') {
      return access(0o750, 0);
    }
    const { sources } = declaration;
    const users = new Set(sources.map(userOf));
    const [user = usual.uid] = users;
    const isForAll =
      users.size > 1 || sources.some((source) => hasPublicFile(source) && isForOthers(otherMode(source)));
    if (isForAll) {
      return access(0o755, usual.uid);
    }
    return owner.kind === 'none' && user === 0 ? access(0o750, 0) : access(0o700, user);
  };
  const otherMode = (source: Source): number => source.mode ?? usual.otherMode;
  return {
    files: (source) => ({
      key: access((source.mode ?? usual.keyMode) & ~0o007, userOf(source)),
      other: access(otherMode(source), userOf(source)),
    }),
    directory: directoryAccess(),
    beside: access(usual.otherMode, declaration.defaultUser ?? usual.uid),
  };
}

/** What counts where a source says nothing else. */
function usualAccess({ defaultMode }: VolumeDeclaration, owner: FileOwner) {
  switch (owner.kind) {
    case 'group':
      return { uid: 0, gid: owner.gid, keyMode: 0o640, otherMode: 0o640 };
    case 'user':
      return { uid: owner.uid, gid: 0, keyMode: 0o600, otherMode: 0o600 };
    case 'none':
      return { uid: 0, gid: 0, keyMode: defaultMode ?? defaultKeyMode, otherMode: defaultMode ?? defaultFileMode };
    default:
      return owner satisfies never;
  }
}

function hasPublicFile(source: Source): boolean {
  return (
    source.kind === 'clusterTrustBundle' ||
    [...publicFields, 'truststorePath' as const].some((field) => source[field] !== undefined)
  );
}

const keyFields = ['credentialBundlePath', 'keyPath'] as const;
const publicFields = ['certificateChainPath', 'leafPath', 'intermediatesPath', 'caPath'] as const;
/** Files that are made elsewhere; a truststore is public. */
const madeFields = ['truststorePath', 'passwordPath'] as const;

/** The paths of all files that a source writes, but for those that come and go: see `trust-domain-files.ts`. */
export function sourcePaths(source: Source): readonly string[] {
  if (source.kind === 'clusterTrustBundle') {
    return [source.path, ...madeFields.flatMap((field) => source[field] ?? [])];
  }
  return [...keyFields, ...publicFields, 'keystorePath' as const, ...madeFields].flatMap(
    (field) => source[field] ?? [],
  );
}

/** The paths among them of what came with the certificate and is no part of it. */
export function issuedAnchorPaths(source: PodCertificateSource): readonly string[] {
  return (['caPath', 'truststorePath'] as const).flatMap((field) => source[field] ?? []);
}

/** What the files of several sources are made with. */
export interface LayoutTools {
  readonly access: VolumeAccess;
  /** Content for certificates: the same for the same ones. */
  readonly contentOf: (certificates: readonly Uint8Array[]) => FileContent;
  /** Takes each buffer that holds a key, for whoever overwrites them. */
  readonly secrets: Uint8Array[];
  /** Further files of a source; absent: none has any. */
  readonly madeOf?: (source: Source) => readonly MadeFile[];
}

/**
 * The files of one source. Key material appears in buffers made here, which go to `secrets`.
 * @throws TypeError when the content is of another kind than the source.
 */
export function layOut(
  source: Source,
  content: SourceContent,
  { access, contentOf, secrets, madeOf }: LayoutTools,
): readonly ProjectedFile[] {
  const { key, other } = access.files(source);
  const made = (madeOf?.(source) ?? []).map(({ path, content, isSecret }) => ({
    path,
    content,
    ...(isSecret ? key : other),
  }));
  switch (source.kind) {
    case 'clusterTrustBundle': {
      if (content.kind !== 'trustAnchors' || content.byTrustDomain !== undefined) {
        throw new TypeError(`source ${source.index} holds trust anchors only`);
      }
      return [{ path: source.path, content: contentOf(content.certificates), ...other }, ...made];
    }
    case 'podCertificate': {
      if (content.kind === 'issuedAnchors') {
        const { caPath: path } = source;
        const bytes = encodePem(certificateBlocks(content.anchors));
        return path === undefined ? made : [{ path, content: wholeContent(bytes), ...other }, ...made];
      }
      if (content.kind !== 'credential') {
        throw new TypeError(`source ${source.index} holds a credential only`);
      }
      const keyBlock: PemBlock = { label: 'PRIVATE KEY', bytes: content.privateKey };
      const { certificates } = content;
      const chain = certificateBlocks(source.roots === 'drop' ? withoutRoots(certificates) : certificates);
      const blocks = {
        credentialBundlePath: [keyBlock, ...chain],
        keyPath: [keyBlock],
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
        ...keyFields.flatMap((field) => file(field, key)),
        ...publicFields.flatMap((field) => file(field, other)),
        ...made,
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

/** A request, its key, and how an earlier one failed, with each file that replaces one beside it. */
const requestBytes = 16 * 1024;

/** A password, and how files were made, each with one beside it that replaces it. */
const keystoreStateBytes = 16 * 1024;

/** What stays free beside two sets of files, for the state of requests and keystores, which is written without asking for room. */
export function stateRoomBytes({ sources }: VolumeDeclaration): number {
  return certificatesIn(sources) * requestBytes + keystoresIn(sources) * keystoreStateBytes;
}

/** How large a volume is made. It grows with what is written. */
export function firstSizeBytes({ sources }: VolumeDeclaration): number {
  return baseBytes + certificatesIn(sources) * credentialBytes + keystoresIn(sources) * keystoreStateBytes;
}

function certificatesIn(sources: readonly Source[]): number {
  return sources.filter(({ kind }) => kind === 'podCertificate').length;
}

function keystoresIn(sources: readonly Source[]): number {
  return sources.filter(hasKeystores).length;
}

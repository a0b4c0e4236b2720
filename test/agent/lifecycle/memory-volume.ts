/** A volume that lies in memory, for tests that need no files: what is kept of each source, and what its files are made from. */
import { VolumeError } from '../../../volumes/base/errors.ts';
import type {
  CertificateRecord,
  OpenVolume,
  PendingRequest,
  Setback,
  SourceContent,
  TrustDomainAnchors,
  TrustRecord,
  VolumeRecord,
} from '../../../volumes/base/volume.ts';

interface KeptSource {
  pending?: PendingRequest | undefined;
  key?: Uint8Array | undefined;
  current?: CertificateRecord;
  chain?: readonly Uint8Array[];
  anchors?: readonly Uint8Array[] | undefined;
  trust?: TrustRecord;
  setback?: Setback | undefined;
  /** What the files hold, in words. */
  files?: string;
}

export interface MemoryVolume extends OpenVolume {
  /** By source. */
  readonly sources: Map<number, KeptSource>;
  inPlace: boolean;
  /** What happens before each of these is done; throws where it fails. */
  onProject: (text: string) => unknown;
  onDiscard: () => void;
  onKept: () => void;
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

function domainInWords({ trustDomain, certificates }: TrustDomainAnchors): string {
  return `${trustDomain}=${certificates?.map(textOf).join()}`;
}

function inWords(content: SourceContent): string {
  switch (content.kind) {
    case 'trustAnchors':
      return ['anchors', content.certificates.map(textOf).join(), ...(content.byTrustDomain ?? []).map(domainInWords)]
        .filter((part) => part !== '')
        .join(' ');
    case 'issuedAnchors':
      return `issued anchors ${content.anchors.map(textOf).join()}`;
    default:
      return `${content.certificates.map(textOf).join()} with ${textOf(content.privateKey)}`;
  }
}

export function createMemoryVolume(record: VolumeRecord): MemoryVolume {
  const sources = new Map<number, KeptSource>();
  const of = (index: number): KeptSource => {
    const kept = sources.get(index) ?? {};
    sources.set(index, kept);
    return kept;
  };
  const keyOf = (index: number): Uint8Array => {
    const { key } = of(index);
    if (key === undefined) {
      throw new VolumeError('Corrupt', `there is no key of sources[${index}]`);
    }
    return Uint8Array.from(key);
  };
  const projected = (): ReadonlySet<number> =>
    new Set([...sources].flatMap(([index, { files }]) => (files === undefined ? [] : [index])));

  const volume: MemoryVolume = {
    ...{ record, sources, inPlace: true },
    ...{ onProject: () => undefined, onDiscard: () => undefined, onKept: () => undefined },
    kept(index) {
      volume.onKept();
      const { current, trust, pending, setback } = of(index);
      return { current, trust, pending, setback };
    },
    pending: (index) => of(index).pending,
    savePending(index, pending, privateKey) {
      Object.assign(of(index), { pending, key: Uint8Array.from(privateKey) });
    },
    async saveAnswer(index, requestName, answer) {
      const { pending } = of(index);
      of(index).pending = pending?.requestName === requestName ? { ...pending, answer } : pending;
    },
    readPendingKey: keyOf,
    pendingWithKey(index) {
      const { pending } = of(index);
      if (pending === undefined) {
        throw new VolumeError('Corrupt', `there is no request of sources[${index}]`);
      }
      return { pending, privateKey: keyOf(index) };
    },
    discardPending(index) {
      volume.onDiscard();
      Object.assign(of(index), { pending: undefined, key: undefined });
    },
    current: (index) => of(index).current,
    async saveCurrent(index, current, chain, anchors) {
      Object.assign(of(index), { current, chain, anchors });
    },
    currentChain: (index) => of(index).chain,
    currentAnchors: (index) => of(index).anchors,
    trust: (index) => of(index).trust,
    saveTrust(index, trust) {
      of(index).trust = trust;
    },
    setback: (index) => of(index).setback,
    saveSetback(index, setback) {
      of(index).setback = setback;
    },
    isInPlace: () => volume.inPlace,
    generation: () => undefined,
    uptake: () => undefined,
    saveUptake: () => undefined,
    isProjected: (index) => projected().has(index),
    projected,
    async project(contents) {
      const texts = new Map([...contents].map(([index, content]) => [index, inWords(content)]));
      await volume.onProject([...texts].map(([index, text]) => `${index}: ${text}`).join('; '));
      const isNew = [...texts].some(([index, text]) => of(index).files !== text);
      for (const [index, files] of texts) {
        of(index).files = files;
      }
      return isNew ? 'written' : 'unchanged';
    },
  };
  return volume;
}

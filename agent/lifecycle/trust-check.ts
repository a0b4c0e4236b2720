/**
 * Compares the chain of each credential with the trust anchors of its signer that lie beside it in the volume, when one or
 * the other has changed. Of a chain that leads to none of them a peer with the same anchors wants nothing to do.
 *
 * Sources count as of the credential's signer by its name, whatever their label selector, or by the name of a bundle that
 * only this signer may have. Compared is with all of them together, and only when the files of all are known: after a
 * restart they come one after the other. A volume that has none, or only empty ones, says nothing.
 *
 * The anchors that came with the certificate lie in a file of their own, so they are compared by themselves: a chain that leads to the
 * signer's bundles alone, or to these alone, is a mismatch.
 */
import type { OpenVolume } from '../../volumes/base/volume.ts';
import { wantsAnchors } from '../../volumes/declaration/pod-certificate.ts';
import type { ClusterTrustBundleSource, PodCertificateSource } from '../../volumes/declaration/types.ts';
import type { OneATurn } from '../base/one-a-turn.ts';
import type { Clock } from '../time/clock.ts';
import type { TrustVerdict } from './credential-state.ts';
import type { LeadsToAnchor } from './ports.ts';

/** An anchor that is dated from this minute may not be valid yet by the node's clock; the API server tolerates as much. */
const toleranceMs = 5 * 60_000;

/** What is looked at of a volume. */
type ComparedVolume = Pick<OpenVolume, 'record' | 'currentChain' | 'currentAnchors'>;

export interface TrustCheckOptions {
  readonly clock: Clock;
  readonly leadsToAnchor: LeadsToAnchor;
  /** Runs comparisons, for all volumes of the node. */
  readonly oneATurn: OneATurn;
  readonly onVerdict: (index: number, verdict: TrustVerdict, anchors: number) => void;
  /** The chain could not be read. */
  readonly onFault: (index: number, fault: unknown) => void;
}

export interface TrustCheck {
  /** The files of a clusterTrustBundle source hold these anchors now, DER. */
  anchorsWritten(index: number, anchors: readonly Uint8Array[]): void;
  /** The files of a podCertificate source hold another chain now, or what they hold has not been looked at yet. */
  chainWritten(index: number): void;
  stop(): void;
}

export function createTrustCheck(volume: ComparedVolume, options: TrustCheckOptions): TrustCheck {
  const { clock, leadsToAnchor, oneATurn, onVerdict, onFault } = options;
  const signers = signersOf(volume);
  /** The sources that have anchors come with their certificates. */
  const wanting = new Set(certificatesOf(volume).flatMap((source) => (wantsAnchors(source) ? [source.index] : [])));
  /** What the files hold, by source; a source is missing until that is known. */
  const written = new Map<number, readonly Uint8Array[]>();
  /** How far after now each of those that wait is to be looked at, milliseconds. */
  const due = new Map<number, number>();
  let isStopped = false;

  /** Each look takes a turn of its own. One that waits already looks at what is new, as of now. */
  const takeUp = (index: number, soonMs = 0): void => {
    const isWaiting = due.has(index);
    due.set(index, Math.min(soonMs, due.get(index) ?? soonMs));
    if (isWaiting) {
      return;
    }
    oneATurn(() => {
      const after = due.get(index) ?? 0;
      due.delete(index);
      if (!isStopped) {
        compare(index, after);
      }
    });
  };

  const compare = (index: number, soonMs: number): void => {
    try {
      const beside = setsBeside(index);
      if (beside.every((anchors) => anchors === undefined)) {
        return;
      }
      const chain = volume.currentChain(index);
      const leads = beside.map((anchors) => chain && anchors && leadsToAnchor(chain, anchors, clock.now() + soonMs));
      const tell = (verdict: TrustVerdict, set: number): void => onVerdict(index, verdict, beside.at(set)?.length ?? 0);
      if (leads.includes(false) && soonMs === 0) {
        takeUp(index, toleranceMs);
      } else if (leads.includes(false)) {
        tell('mismatch', leads.indexOf(false));
      } else if (!beside.includes(undefined)) {
        tell(leads.includes(true) ? 'leads' : 'unknown', Math.max(0, leads.indexOf(true)));
      }
    } catch (fault) {
      onFault(index, fault);
    }
  };

  /** The anchors that lie beside a chain, as they are compared: those of all bundles that count, and those that came with it. */
  const setsBeside = (index: number): readonly (readonly Uint8Array[] | undefined)[] => {
    const bundles = signers.get(index) ?? new Set();
    return [
      ...(bundles.size > 0 ? [bundlesOf(bundles)] : []),
      ...(wanting.has(index) ? [volume.currentAnchors(index) ?? []] : []),
    ];
  };

  /** Undefined while those of one of them are not known. */
  const bundlesOf = (sources: ReadonlySet<number>): readonly Uint8Array[] | undefined => {
    const sets = [...sources].map((source) => written.get(source));
    const known = sets.filter((set) => set !== undefined);
    return known.length < sets.length ? undefined : [...new Set(known.flat())];
  };

  return {
    anchorsWritten(index, anchors) {
      written.set(index, anchors);
      for (const [credential, sources] of signers) {
        if (sources.has(index)) {
          takeUp(credential);
        }
      }
    },
    chainWritten(index) {
      if (signers.has(index)) {
        takeUp(index);
      }
    },
    stop() {
      isStopped = true;
    },
  };
}

/** For each podCertificate source that has anchors: the clusterTrustBundle sources of its signer, none where they come with it. */
function signersOf(volume: ComparedVolume): ReadonlyMap<number, ReadonlySet<number>> {
  const bundles = volume.record.declaration.sources.filter((source) => source.kind === 'clusterTrustBundle');
  const found = new Map<number, ReadonlySet<number>>();
  for (const source of certificatesOf(volume)) {
    const own = bundles.filter((bundle) => isOf(bundle, source.signerName)).map(({ index }) => index);
    if (own.length > 0 || wantsAnchors(source)) {
      found.set(source.index, new Set(own));
    }
  }
  return found;
}

function certificatesOf({ record }: ComparedVolume): readonly PodCertificateSource[] {
  return record.declaration.sources.filter((source) => source.kind === 'podCertificate');
}

/**
 * The API server lets a bundle of a signer have no other name than one that begins with the signer's, with colons for its
 * slash and behind it.
 */
function isOf({ select }: ClusterTrustBundleSource, signerName: string): boolean {
  return select.by === 'signer'
    ? select.signerName === signerName
    : select.name.startsWith(`${signerName.replace('/', ':')}:`);
}

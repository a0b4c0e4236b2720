/** Which bundles a source chooses, and what becomes of them: one file's worth of anchors, or the anchors of trust domains, kept apart. */
import type { Steps } from '../../volumes/base/steps.ts';
import type { ClusterTrustBundleSource } from '../../volumes/declaration/types.ts';
import type { Anchors } from '../lifecycle/ports.ts';
import type { BundleOutline } from './feed.ts';
import { anchorsOf, isSelected, type Selected } from './selection.ts';
import { anchorsApart, isForWorkloadsOf, peerOf } from './trust-domains.ts';

export interface Choice {
  /** Equal for sources that choose the same. */
  readonly name: string;
  isChosen(outline: BundleOutline): boolean;
  /** Equal only where the bundle has the same part in the whole. */
  stampOf(chosen: Selected): string;
  /** In steps. @param areAny whether there are bundles of its name or signer, chosen or not */
  unite(chosen: readonly Selected[], areAny: boolean): Steps<Anchors>;
}

export function choiceOf({ select, trustDomains }: Pick<ClusterTrustBundleSource, 'select' | 'trustDomains'>): Choice {
  if (trustDomains === undefined || select.by === 'name') {
    const bundlesOf = (chosen: readonly Selected[]) => chosen.map(({ bundle }) => bundle);
    return {
      name: JSON.stringify(select),
      isChosen: (outline) => isSelected(outline, select),
      stampOf: ({ bundle }) => `${bundle.stamp} `,
      unite: (chosen, areAny) => anchorsOf(select, bundlesOf(chosen), areAny),
    };
  }
  return {
    name: JSON.stringify([select, trustDomains]),
    isChosen: (outline) => isForWorkloadsOf(outline, trustDomains),
    // Under another label the same bundle is another trust domain's.
    stampOf: ({ outline, bundle }) => `${bundle.stamp}=${peerOf(outline) ?? ''} `,
    unite: (chosen) => anchorsApart(trustDomains, select.signerName, chosen),
  };
}

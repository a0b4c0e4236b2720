/** What survives in agent/lifecycle/, each with its reason. */
import type { Explanation } from './explanation.ts';

const trustDomains = 'agent/lifecycle/trust-domains.ts';

const refusedHasNone =
  'anchors that are refused have neither trust domains nor bundles left out; only the type checker has to be told';

export const lifecycle: readonly Explanation[] = [
  {
    file: 'agent/lifecycle/pace.ts',
    text: "'signer'",
    instead: '""',
    why: 'whoever is not the approver is the signer',
  },
  {
    file: trustDomains,
    text: 'known.get(index)?.get',
    instead: 'known.get(index).get',
    why: 'it was set in the statement before; only the type checker has to be told',
  },
  { file: trustDomains, text: "anchors.type === 'refused'", instead: 'false', why: refusedHasNone },
  { file: trustDomains, text: "'refused'", instead: '""', why: refusedHasNone },
];

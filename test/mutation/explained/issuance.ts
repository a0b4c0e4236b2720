/** What survives in agent/issuance/, each with its reason. */
import type { Explanation } from './explanation.ts';

const outcome = 'agent/issuance/outcome.ts';
const forms = 'agent/issuance/name-forms.ts';

const noTime = 'Date.parse gives NaN for either';
const hasStatus =
  'there is a condition, so there is the status that it stands in; only the type checker has to be told';

export const issuance: readonly Explanation[] = [
  {
    file: outcome,
    text: '[]',
    instead: '["Stryker was here"]',
    why: 'a text has no status of True, so it is passed over as a condition that does not hold',
  },
  ...['certificateChain', 'notBefore', 'notAfter', 'beginRefreshAt'].map((field) => ({
    file: outcome,
    text: `status?.${field}`,
    instead: `status.${field}`,
    why: hasStatus,
  })),
  { file: outcome, text: "''", instead: '"Stryker was here!"', why: `in a time: ${noTime}` },
  {
    file: forms,
    text: "''",
    instead: '"Stryker was here!"',
    why: 'splitting a text always gives a first part; only the type checker has to be told what stands for a missing one',
  },
  {
    file: 'agent/issuance/usages.ts',
    text: "typeof value === 'string'",
    instead: 'true',
    why: 'what is no text is no name in the list either; only the type checker has to be told',
  },
  ...['uri', 'ip', 'attribute'].map((place) => ({
    file: 'agent/issuance/template.ts',
    text: `'${place}'`,
    instead: '""',
    why: 'where a value stands matters for DNS names only; the others have one rule',
  })),
];

/** What survives in agent/issuance/, each with its reason. */
import type { Explanation } from './explanation.ts';

const outcome = 'agent/issuance/outcome.ts';
const forms = 'agent/issuance/name-forms.ts';

const anchors = 'agent/issuance/issued-anchors.ts';
const rules = 'agent/issuance/issuer-rules.ts';

const fromPod = 'agent/issuance/names-from-pod.ts';
const variables = 'agent/issuance/template-variables.ts';

const path = 'agent/issuance/path.ts';

const noDetails = 'a key of this kind has it; only the type checker has to be told';
const noStep = 'what is no step stands above nothing and is nobody’s';
const chain = 'agent/issuance/chain.ts';

const handed = 'agent/issuance/handed-tokens.ts';

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
  {
    file: 'agent/issuance/certificate.ts',
    text: 'value?.tag',
    instead: 'value.tag',
    why: 'contentOf has thrown where there is no value; only the type checker has to be told',
  },
  {
    file: 'agent/issuance/certificate.ts',
    text: "Buffer.from(content).toString('utf8').trim().replaceAll(/ +/g, ' ').toLowerCase()",
    instead: "Buffer.from(content).toString('utf8').trim().replaceAll(/ +/g, ' ').toUpperCase()",
    why: 'case is ignored either way',
  },
  { file: anchors, text: "''", instead: '"Stryker was here!"', why: 'a text without any block gives none either' },
  {
    file: anchors,
    text: '{ return false; }',
    instead: '{}',
    why: 'what is no certificate is none of an authority either way',
  },
  {
    file: rules,
    text: 'rule?.certManager?.issuer',
    instead: 'rule?.certManager.issuer',
    why: 'a rule holds one of three, and the other two have been looked for; only the type checker has to be told',
  },
  ...[
    { text: "!rules.some(({ as }) => as === 'pod')", instead: 'false' },
    { text: "as === 'pod'", instead: 'true', on: "if (!rules.some(({ as }) => as === 'pod')) {" },
    { text: '{ return new Set(); }', instead: '{}' },
  ].map((change) => ({ file: rules, ...change, why: 'spares looking at each signer where no rule needs a token' })),
  {
    file: rules,
    text: "choice.requester.as === 'pod'",
    instead: 'true',
    why: 'whoever asks as the agent has no audience; only the type checker has to be told',
  },
  ...[
    {
      text: '{ // A signer that this pod may not ask, which it is told when it asks. if (error instanceof AgentError) { return undefined; } throw error; }',
      instead: '{}',
    },
    { text: 'error instanceof AgentError', instead: 'true' },
  ].map((change) => ({
    file: rules,
    ...change,
    why: 'nothing else is thrown there; a fault of ours would not be hidden',
  })),
  {
    file: 'agent/issuance/key-type-suggestion.ts',
    text: "'refusing'",
    instead: '""',
    why: 'whatever is neither neutral nor suggesting refuses',
  },
  {
    file: 'agent/issuance/pod-token.ts',
    text: "''",
    instead: '"Stryker was here!"',
    on: "const [, payload = ''] = token.split('.', 2);",
    why: 'a token has three parts by then; only the type checker has to be told',
  },
  {
    file: 'agent/issuance/pod-token.ts',
    text: '{ return undefined; }',
    instead: '{}',
    on: '} catch {',
    why: 'nothing is returned either way',
  },
  ...['uri', 'attribute'].map((place) => ({
    file: fromPod,
    text: `'${place}'`,
    instead: '""',
    why: 'where a value stands matters for DNS names only; the others have one rule',
  })),
  {
    file: fromPod,
    text: "''",
    instead: '"Stryker was here!"',
    why: 'there is a first part of each text, a fault where the check failed, and a piece for each of as many; only the type checker has to be told',
  },
  {
    file: variables,
    text: '[]',
    instead: '["Stryker was here"]',
    on: 'const [, object, map, key] = metadata.exec(name) ?? [];',
    why: 'the first entry is not looked at',
  },
  {
    file: variables,
    text: "''",
    instead: '"Stryker was here!"',
    on: "const unknown = [...text.matchAll(placeholder)].flatMap(([, name = '']) =>",
    why: 'whatever matches has a name, which may be empty; only the type checker has to be told',
  },
  ...[
    { text: 'of === undefined || key === undefined', instead: 'of === undefined && key === undefined' },
    { text: 'of === undefined', instead: 'false' },
    { text: 'key === undefined', instead: 'false' },
  ].map((change) => ({
    file: variables,
    ...change,
    why: 'either is there where the other is; only the type checker has to be told',
  })),
  {
    file: path,
    text: "'TooManySignatures'",
    instead: '""',
    why: 'its name is for whoever prints it; it is told by its class',
  },
  {
    file: path,
    text: '{ if (fault instanceof Error) { return undefined; } throw fault; }',
    instead: '{}',
    why: 'nothing but errors is thrown there; a fault of ours would not be hidden',
  },
  {
    file: path,
    text: 'fault instanceof Error',
    instead: 'true',
    why: 'nothing but errors is thrown there; a fault of ours would not be hidden',
  },
  {
    file: path,
    text: '[]',
    instead: '["Stryker was here"]',
    on: 'anchors: readonly Certificate[] = [],',
    why: 'an anchor without a name is above nothing',
  },
  {
    file: path,
    text: 'issuer === certificate',
    instead: 'false',
    why: 'it spares checking a signature: what is signed by itself has been let go before',
  },
  {
    file: path,
    text: 'why !== undefined',
    instead: 'true',
    on: 'if (why !== undefined && isSelfIssued(issuer) && isExpired(issuer, at) && issuer.x509().ca) {',
    why: 'what has expired may not issue',
  },
  { file: path, text: 'details?.namedCurve', instead: 'details.namedCurve', why: noDetails },
  { file: path, text: 'details?.modulusLength', instead: 'details.modulusLength', why: noDetails },
  { file: path, text: 'details?.publicExponent', instead: 'details.publicExponent', why: noDetails },
  { file: path, text: "''", instead: '"Stryker was here!"', why: noDetails },
  {
    file: path,
    text: 'publicExponent > usualExponent',
    instead: 'publicExponent >= usualExponent',
    why: 'exponents are odd',
  },
  {
    file: path,
    text: '[]',
    instead: '["Stryker was here"]',
    on: 'below.set(issuer, [...(below.get(issuer) ?? []), step]);',
    why: noStep,
  },
  {
    file: path,
    text: '[]',
    instead: '["Stryker was here"]',
    on: 'due.push(...(below.get(step.certificate) ?? []));',
    why: noStep,
  },
  {
    file: path,
    text: 'leading.get(next)?.issuers',
    instead: 'leading.get(next).issuers',
    why: 'what comes next is one of them; only the type checker has to be told',
  },
  {
    file: chain,
    text: '{ return false; }',
    instead: '{}',
    why: 'what cannot be compared does not hold our key either way',
  },
  {
    file: chain,
    text: 'fault !== undefined',
    instead: 'true',
    why: 'where no way leads up something blocks it; only the type checker has to be told',
  },
  {
    file: chain,
    text: 'certificates.length > 1',
    instead: 'false',
    why: 'what stands above the leaf in a way has signed it; it spares looking again',
  },
  {
    file: chain,
    text: 'cause instanceof TooManySignatures',
    instead: 'true',
    why: 'nothing else is thrown there; a fault of ours would not be hidden',
  },
  ...[{ text: 'held.get(uid)?.expiresAt', instead: 'held.get(uid).expiresAt' }].map((change) => ({
    file: handed,
    ...change,
    why: 'it was just listed; only the type checker has to be told',
  })),
  {
    file: handed,
    text: 'time < sweepAt',
    instead: 'time <= sweepAt',
    why: 'an alarm for the same time takes the place of the other',
  },
  { file: handed, text: "'awaited'", instead: '""', why: 'what is neither good nor unusable is awaited' },
  {
    file: handed,
    text: "''",
    instead: '"Stryker was here!"',
    on: "let told = '';",
    why: 'nothing that is told is either of them',
  },
  ...[
    { text: '{ once: true }', instead: '{}' },
    { text: 'true', instead: 'false', on: "signal.addEventListener('abort', onAbort, { once: true });" },
  ].map((change) => ({ file: handed, ...change, why: 'the end of the wait takes the listener away itself' })),
  ...[
    { text: '!(error instanceof AgentError)', instead: 'false' },
    { text: '{ return error; }', instead: '{}', on: 'if (!(error instanceof AgentError)) {' },
  ].map((change) => ({
    file: 'agent/issuance/requested-tokens.ts',
    ...change,
    why: 'no other error has one of the codes looked for; only the type checker has to be told',
  })),
];

/** What survives in one credential's life, each with its reason. */
import type { Explanation } from './explanation.ts';

const life = 'agent/lifecycle/credential.ts';
const moves = 'agent/lifecycle/credential-moves.ts';
const waiting = 'agent/lifecycle/credential-waiting.ts';
const trust = 'agent/lifecycle/credential-trust.ts';
const work = 'agent/lifecycle/credential-work.ts';
const runner = 'agent/lifecycle/credential-runner.ts';
const setback = 'agent/lifecycle/credential-setback.ts';
const end = 'agent/lifecycle/credential-end.ts';

const ofCertificate =
  'what is to be told is of a mismatch, and that of a certificate; only the type checker has to be told';
const noOther = 'there is no other case, which the type checker holds';

export const credential: readonly Explanation[] = [
  { file: life, text: 'default: return unreachable(state);', instead: 'default:', why: noOther },
  { file: moves, text: 'default: return unreachable(failure);', instead: 'default:', why: noOther },
  {
    file: moves,
    text: "''",
    instead: '"Stryker was here!"',
    why: 'whoever pauses without saying for which request met an error, and what is told of an error names none',
  },
  {
    file: moves,
    text: 'current === undefined',
    instead: 'false',
    on: 'if (current === undefined || due === undefined || at.now < due) {',
    why: 'without a certificate no warning is due either; only the type checker has to be told',
  },
  {
    file: waiting,
    text: 'at.now < attempt.since',
    instead: 'at.now <= attempt.since',
    why: 'times that are shifted by nothing stay, and in the moment in which a wait begins nothing is told',
  },
  {
    file: end,
    text: 'current !== undefined',
    instead: 'true',
    why: 'without a certificate no expiry is to be told; only the type checker has to be told that',
  },
  ...[
    { text: 'current === undefined || mismatch === undefined', instead: 'false' },
    {
      text: 'current === undefined || mismatch === undefined',
      instead: 'current === undefined && mismatch === undefined',
    },
    { text: 'current === undefined', instead: 'false' },
  ].map((change) => ({ file: trust, ...change, why: ofCertificate })),
  {
    file: trust,
    text: 'mismatch === undefined',
    instead: 'false',
    on: 'if (current === undefined || mismatch === undefined || at.now < (tellTime(trust) ?? Number.POSITIVE_INFINITY)) {',
    why: ofCertificate,
  },
  { file: setback, text: 'default: return unreachable(failure);', instead: 'default:', why: noOther },
  { file: work, text: 'default: return unreachable(outcome);', instead: 'default:', why: noOther },
  {
    file: work,
    text: 'currentOf(subject.state())?.refreshAt',
    instead: 'currentOf(subject.state()).refreshAt',
    why: 'what lacks addresses is a certificate; only the type checker has to be told that there is one',
  },
  { file: runner, text: 'default: unreachable(effect);', instead: 'default:', why: noOther },
  {
    file: runner,
    text: '[]',
    instead: '["Stryker was here"]',
    why: 'a text is no event that a state knows, and what no state knows changes nothing',
  },
  {
    file: runner,
    text: 'false',
    instead: 'true',
    on: 'let stepping = false;',
    why: 'the first thing that is done is to work off what it begins with, which sets it; nothing can happen before',
  },
  {
    file: runner,
    text: 'kept.current !== undefined',
    instead: 'true',
    why: 'where there is no certificate none counts; it spares a look at the files of a volume that has none yet',
  },
];

/** What survives in the files of agent/lifecycle/ that look after whole volumes, each with its reason. */
import { becauseIn } from './because.ts';
import type { Explanation } from './explanation.ts';

const projection = 'agent/lifecycle/projection.ts';
const strays = 'agent/lifecycle/stray-volumes.ts';
const status = 'agent/lifecycle/volume-status.ts';
const relief = 'agent/lifecycle/relief.ts';
const trustCheck = 'agent/lifecycle/trust-check.ts';

const last = 'nothing comes after the last case, so nothing is returned either way';
const hasKey = 'what is left of a batch has its key by then; only the type checker has to be told';
const isWord = 'a word has no name of a volume, so it is of another one; only the type checker has to be told';
const noneLeft = 'all cases have been named before; only the type checker has to be told';

const because = becauseIn('agent/lifecycle');

const ahead: readonly Explanation[] = [
  ...because('a signal fires once', {
    ahead: [
      ['{ once: true }', '{}'],
      ['true', 'false', "work.ending.signal.addEventListener('abort', cancel, { once: true });"],
      ['true', 'false', "signal.addEventListener('abort', letGo, { once: true });"],
      ['true', 'false', "call.signal.addEventListener('abort', onAbort, { once: true });"],
    ],
  }),
  ...because('as many may wait as there are pods that are begun for, so the line is never full and never named', {
    ahead: [["'certificates ahead'", '""']],
  }),
  ...because('all work in this line is of one rank', {
    ahead: [["'background'", '""', "{ priority: 'background', owner: pod.uid, signal },"]],
  }),
  ...because('without a key nothing is taken over, so nobody asks for the request either', {
    ahead: [['false', 'true', 'return false;']],
  }),
  ...because('what was begun is there; only the type checker has to be told', {
    ahead: [
      [
        'work === undefined',
        'false',
        'if (work === undefined || credential === undefined || credential.isHandedOver) {',
      ],
      [
        'issuer.beginsAhead?.(pod.namespace, source.signerName)',
        'issuer.beginsAhead(pod.namespace, source.signerName)',
      ],
    ],
  }),
];

const manager: readonly Explanation[] = [
  ...because('each comparison of a chain takes its own fault, so none comes here', {
    'volume-manager': [["(fault) => onFault(fault, 'a fault while looking after volumes')", '() => undefined']],
  }),
  ...because('of an agent that stops nobody but the kubelet is told, and that in words', {
    'volume-manager': [
      ["'Unavailable'", '""'],
      ["{ actor: 'nobody' }", '{}'],
      ["'nobody'", '""'],
    ],
  }),
  ...because('no volume is at what is no path', {
    'volume-manager': [
      [
        'targetPath !== undefined',
        'true',
        'return targetPath !== undefined && strays.has(targetPath) ? unusable : undefined;',
      ],
      ['[]', '["Stryker was here"]', 'const { volumes, unusable, unknownToKubelet = [] } = await store.recover();'],
    ],
  }),
];

const runner: readonly Explanation[] = [
  ...because('a source of certificates has its credential by then; only the type checker has to be told', {
    'volume-runner': [
      ['credentials.get(index)?.judged', 'credentials.get(index).judged'],
      ['credentials.get(index)?.written', 'credentials.get(index).written'],
      ['credentials.get(index)?.kept', 'credentials.get(index).kept'],
      ['credentials.get(index)?.keyUnfit', 'credentials.get(index).keyUnfit'],
      ['credential !== undefined', 'true', 'if (credential !== undefined && !isAsking(credential.state())) {'],
      ['credential?.state', 'credential.state'],
    ],
  }),
  ...because('no other source than one of certificates has a credential; only the type checker has to be told', {
    'volume-runner': [
      [
        "content.kind === 'trustAnchors' || credential === undefined",
        "content.kind === 'trustAnchors' && credential === undefined",
      ],
      ["content.kind === 'trustAnchors'", 'false'],
      ["'trustAnchors'", '""'],
      ['credential === undefined', 'false', "if (content.kind === 'trustAnchors' || credential === undefined) {"],
    ],
  }),
  ...because('a time that is drawn again is as good as the same from before', {
    'volume-runner': [['planned.at <= at', 'planned.at < at']],
  }),
  ...because(
    'bundles that are refused make no content, so nothing of theirs is counted; only the type checker has to be told',
    {
      'volume-runner': [
        [
          "anchors.type === 'refused'",
          'false',
          "const count = anchors.type === 'refused' ? 0 : (anchors.expired ?? 0);",
        ],
        ["'refused'", '""', "const count = anchors.type === 'refused' ? 0 : (anchors.expired ?? 0);"],
      ],
    },
  ),
  ...because('a bundle that is selected by its name says nothing of a signer; only the type checker has to be told', {
    'volume-runner': [["select.by === 'signer'", 'true']],
  }),
];

export const volumeLifecycle: readonly Explanation[] = [
  ...ahead,
  ...manager,
  ...runner,
  { file: projection, text: 'privateKey === undefined', instead: 'false', why: hasKey },
  {
    file: projection,
    text: "{ throw new TypeError('a credential is written with its key'); }",
    instead: '{}',
    why: hasKey,
  },
  {
    file: strays,
    text: 'listed === undefined',
    instead: 'false',
    on: "if (listed === undefined || volume === undefined || typeof notes === 'string') {",
    why: 'without the pod there is no volume of it either; only the type checker has to be told',
  },
  {
    file: 'agent/lifecycle/publish-call.ts',
    text: "status.type === 'refused'",
    instead: 'true',
    why: 'what is ready is not tried again at any time; only the type checker has to be told',
  },
  { file: strays, text: "typeof notes === 'string'", instead: 'false', why: isWord },
  { file: strays, text: "'string'", instead: '""', why: isWord },
  ...['state', 'failure', 'why'].map((value) => ({
    file: status,
    text: `default: return unreachable(${value});`,
    instead: 'default:',
    why: noneLeft,
  })),
  {
    file: status,
    text: 'default: return {};',
    instead: 'default:',
    why: 'nothing is added to the snapshot either way',
  },
  { file: status, text: 'default: return undefined;', instead: 'default:', why: last },
  {
    file: status,
    text: "case 'generating': return describeLast(state.attempt);",
    instead: "case 'generating':",
    why: 'the next case says the same where there is no hurdle, and before there is a request there is none',
  },
  { file: relief, text: 'default: return undefined;', instead: 'default:', why: last },
  { file: relief, text: 'default: return unreachable(relief);', instead: 'default:', why: noneLeft },
  {
    file: trustCheck,
    text: 'beside.at(set)?.length',
    instead: 'beside.at(set).length',
    why: 'a verdict is told of a set that is known, and there is one at least; only the type checker has to be told',
  },
  {
    file: trustCheck,
    text: '[]',
    instead: '["Stryker was here"]',
    why: 'only credentials that have sources of anchors are looked at; only the type checker has to be told',
  },
  {
    file: relief,
    text: "failure.kind !== 'error'",
    instead: 'false',
    on: "if (failure.kind !== 'error' || failure.phase !== 'request') {",
    why: 'what is no error has no phase, so it was in another one either way; only the type checker has to be told',
  },
];

/**
 * Advice that is followed to the letter opens no hole, and reaches those who can follow it: the events of pods, the texts of errors,
 * the chart's notes and alerts, and the documents for operators.
 */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { type Actor, AgentError, type ErrorCode } from '../../agent/base/errors.ts';
import type { Notice } from '../../agent/lifecycle/notices.ts';
import { describeForPod } from '../../agent/observe/notices/pod-events.ts';
import { makeRecord } from '../volumes/support.ts';

const root = path.join(import.meta.dirname, '..', '..');

/** What gives whoever does it more than is meant, whatever it mends. */
const holes: readonly RegExp[] = [
  /impersonat\w+ (any|users?|groups?)\b/i,
  /arbitrary[- ]nodes?\b/i,
  /the (permission|right) that (the|this) (message|refusal|error|event) names/i,
  /allow what (a|the) refusal names/i,
  /\bcluster-admin\b|\bsystem:masters\b/,
  /(verbs|resources|apiGroups): *\[? *["']?\*/,
  /insecure-skip|skip-tls|NODE_TLS_REJECT_UNAUTHORIZED|--validate=false|--anonymous-auth=true/i,
  /failurePolicy: *Ignore|(delete|remove) the \w*AdmissionPolicy/i,
  /\bsetenforce\b|(SELinux|AppArmor|seccomp)[^.]* (off|permissive|unconfined|disabled)\b/i,
  /\bchmod\b|\brm -r|--force --grace-period|\bkubectl cp\b/,
  /hostPath|hostPID|allowPrivilegeEscalation: true/,
];

/** Whatever else the sentence says is not to be done. */
const allowances =
  /\ban allowance for what\b|(?<!\bnever (simply )?)\ballow (containers )?what (a|the) (refusal|log) names/i;

/** Words by which a sentence says that something is not to be done. */
const warnings = /\b(never|not|no|neither|none|nothing|without|refuses?d?|instead of|one cannot|must not)\b/i;

/** Places that describe what is there, and advise nobody. */
const descriptions = /reliability\.md|comparison\.md|cluster-suite\.md/;

/** Sentences, table rows and list items, each in one line. */
function sentencesOf(text: string): readonly string[] {
  const joined = text.replaceAll(/\n(?! *([-*|#]|\d+\.|\n))/g, ' ');
  return joined.split(/\n|(?<=[.;])\s/).map((sentence) => sentence.replaceAll(/\s+/g, ' ').trim());
}

/** The texts between quotes of a program. */
function literalsOf(program: string): string {
  const code = program.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
  return [...code.matchAll(/`[^`]*`|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g)].map(([literal]) => literal).join('\n');
}

function read(...patterns: readonly string[]): readonly (readonly [string, string])[] {
  const files = globSync(patterns, { cwd: root }).filter((file) => !descriptions.test(file));
  return files.map((file) => [file, readFileSync(path.join(root, file), 'utf8')] as const);
}

function holesIn(text: string): readonly string[] {
  const isHole = (sentence: string): boolean =>
    allowances.test(sentence) || (holes.some((hole) => hole.test(sentence)) && !warnings.test(sentence));
  return sentencesOf(text).filter(isHole);
}

test('no text of the agent, no note of the chart and no document advises what opens a hole', () => {
  const programs = read('agent/**/*.ts', 'volumes/**/*.ts').map(([file, text]) => [file, literalsOf(text)] as const);
  const chart = 'deploy/helm/pod-certificate-agent';
  const documents = read('docs/*.md', 'README.md', `${chart}/templates/NOTES.txt`, `${chart}/files/alerts.yaml`);
  assert.ok(programs.length > 100 && documents.length > 8, 'the texts are found');
  const found = [...programs, ...documents].flatMap(([file, text]) => holesIn(text).map((hole) => `${file}: ${hole}`));
  assert.deepEqual(found, []);
});

test('advice that opens a hole is seen, and a warning of it is not taken for advice', () => {
  const harmful = [
    'Give the agent the permission that the message names.',
    'Allow the agent to impersonate users.',
    'Bind the agent to cluster-admin.',
    'Set failurePolicy: Ignore and try again.',
    'Run chmod 0644 on the key.',
    'Switch SELinux off.',
    'Neither has to be switched off: an allowance for what the log names is enough.',
  ];
  for (const advice of harmful) {
    assert.deepEqual(holesIn(`It fails.\n${advice}`), [advice]);
  }
  assert.deepEqual(holesIn('Never allow the agent to impersonate users: that is the right to be anybody.'), []);
});

const volume = makeRecord('/var/lib/kubelet/pods/u/volumes/kubernetes.io~csi/mtls/mount');
const subject = { volume, source: 0, signerName: 'example.com/mesh', keyType: 'ED25519' } as const;

function failure(code: ErrorCode, actor: Actor): string | undefined {
  const error = new AgentError(code, 'it is refused', { actor });
  const notice: Notice = { ...subject, type: 'attemptFailed', phase: 'request', error, retryAt: 0 };
  return describeForPod(notice)?.message;
}

const codes: readonly ErrorCode[] = [
  'Rejected',
  'Forbidden',
  'SignerNotAllowed',
  'ApiMissing',
  'NotFound',
  'Conflict',
  'Internal',
];

test('what the cluster operator has to mend is not asked of the pod’s author', () => {
  for (const code of codes) {
    const message = failure(code, 'cluster operator') ?? '';
    assert.match(message, /ask the cluster operator/i, code);
    assert.doesNotMatch(message, /Correct the source/, code);
  }
  assert.match(failure('Rejected', 'pod author') ?? '', /Correct the source/);
});

test('nobody is told to create a trust bundle that is there, or that is not theirs to publish', () => {
  const source = 1;
  const notices: readonly Notice[] = [
    { volume, source, type: 'anchorsRefused', message: 'the bundles are too large' },
    { volume, source, type: 'anchorsMissing', message: 'there is no bundle' },
    { volume, source, type: 'anchorsMissing', message: 'the API is not served', isOperators: true },
  ];
  for (const notice of notices) {
    const message = describeForPod(notice)?.message ?? '';
    assert.doesNotMatch(message, /^.*[.:] create|Create/, notice.type);
    assert.match(message, /ask (the cluster operator|whoever)/i, notice.type);
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { replyError } from '../../../agent/kubernetes/failure.ts';
import type { Status } from '../../../agent/kubernetes/objects.ts';
import { describeCall } from '../../../agent/kubernetes/paths.ts';
import { describeForPod } from '../../../agent/observe/notices/pod-events.ts';
import { credential, volume } from '../observe/subjects.ts';

const call = describeCall(
  'POST',
  '/apis/certificates.k8s.io/v1beta1/namespaces/shop/podcertificaterequests',
  false,
  'system:node:node-1',
);

/** What Kubernetes 1.34 and 1.35 answer to an agent that acts as its node. */
const classicRefusal: Status = {
  kind: 'Status',
  status: 'Failure',
  message: 'users "system:node:node-1" is forbidden: User "agent" cannot impersonate resource "users" in API group ""',
  reason: 'Forbidden',
  details: { name: 'system:node:node-1', kind: 'users' },
  code: 403,
};

test('a refused impersonation names another identity mode, and nothing that would let the agent be anybody', () => {
  const error = replyError(call, 403, classicRefusal);
  assert.match(
    error.message,
    /Do not allow the agent to impersonate users: .* Use identity\.mode serviceAccount, in which signers have to look/,
  );
  assert.doesNotMatch(error.message, /cannot impersonate resource/);
  const event = describeForPod({
    ...credential,
    type: 'attemptFailed',
    phase: 'request',
    error,
    retryAt: 0,
  });
  assert.match(event?.message ?? '', /serviceAccount.*Ask the cluster operator\. .*no permission beyond/);
  assert.doesNotMatch(event?.message ?? '', /permission that the message names/);
});

/** As Kubernetes 1.36 words them, the first one for what cert-manager 1.21 says. */
const policies: readonly (readonly [string, number, string, string])[] = [
  ['a webhook', 403, 'Forbidden', 'admission webhook "webhook.cert-manager.io" denied the request: spec.request: no'],
  [
    'a policy',
    422,
    'Invalid',
    `certificatesigningrequests.certificates.k8s.io "a" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no`,
  ],
];
for (const [who, code, reason, message] of policies) {
  test(`what ${who} of the cluster refuses is asked neither of the pod’s author nor of who gives permissions`, () => {
    const error = replyError(call, code, { kind: 'Status', status: 'Failure', message, reason, code });
    assert.deepEqual([error.code, error.actor], ['Rejected', 'cluster operator']);
    const event = describeForPod({ ...credential, type: 'attemptFailed', phase: 'request', error, retryAt: 0 });
    assert.equal(event?.reason, 'RequestRejected');
    assert.match(
      event.message,
      /denied (?:the )?request: .*no .*Ask the cluster operator: nothing in the pod can mend/,
    );
    assert.doesNotMatch(event.message, /permission|does not let|Correct the source/);
  });
}

test('a permission that is missing is no policy’s refusal, whatever the names in it say', () => {
  const message = `podcertificaterequests is forbidden: User "admission webhook" cannot create resource "x"`;
  const error = replyError(call, 403, { kind: 'Status', message, reason: 'Forbidden', code: 403 });
  assert.deepEqual([error.code, error.actor], ['Forbidden', 'cluster operator']);
});

test('a namespace that is being deleted is no missing permission, and its pod is told of none', () => {
  const message =
    'podcertificaterequests "mtls-0-1" is forbidden: unable to create new content in namespace shop because it is being terminated';
  const causes = [
    { reason: 'NamespaceTerminating', message: 'namespace shop is being terminated', field: 'metadata.namespace' },
  ];
  const details = { name: 'mtls-0-1', kind: 'podcertificaterequests', causes };
  const refusal: Status = {
    kind: 'Status',
    status: 'Failure',
    message,
    reason: 'Forbidden',
    details,
    code: 403,
  };
  const error = replyError(call, 403, refusal);
  assert.deepEqual([error.code, error.actor], ['Unavailable', 'nobody']);
  assert.match(error.message, /cannot create podcertificaterequests.*: the namespace is being deleted/);
  assert.doesNotMatch(error.message, /does not let|permission/);
  assert.equal(
    describeForPod({ ...credential, type: 'attemptFailed', phase: 'request', error, retryAt: 0 }),
    undefined,
  );
  const policy = { ...refusal, details: { ...details, causes: [] } };
  assert.equal(replyError(call, 403, policy).code, 'Forbidden');
});

test('anchors that the cluster does not serve are not asked of the pod’s author', () => {
  const missing = { volume, source: 0, type: 'anchorsMissing', message: 'not served' } as const;
  const event = describeForPod({ ...missing, isOperators: true });
  assert.match(event?.message ?? '', /Ask the cluster operator/);
  assert.doesNotMatch(event?.message ?? '', /Correct the source/);
  assert.match(describeForPod(missing)?.message ?? '', /Correct the source/);
});

test('of a message 1024 characters are kept', () => {
  const kept = (length: number): string => {
    const { message } = replyError(call, 400, { kind: 'Status', message: 'x'.repeat(length), code: 400 });
    return /x+(?: …)?/.exec(message)?.[0] ?? '';
  };
  assert.equal(kept(1024), 'x'.repeat(1024));
  assert.equal(kept(1025), `${'x'.repeat(1024)} …`);
});

/** What a publish call must say, and what its author reads when it does not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VolumeError } from '../../../volumes/base/errors.ts';
import { contextOption } from '../../../volumes/base/selinux.ts';
import { type NodePublishVolumeRequest, readPublish } from '../../../volumes/csi/node.ts';
import { CallError, isExpected, statusOfError, statusOfOutcome } from '../../../volumes/csi/status.ts';
import { podUID } from '../support.ts';
import { publishRequest, targetPath } from './support.ts';

/** A request as the wire gives it: absent messages are null. */
function request(more: object = {}, context: Record<string, string> = {}): NodePublishVolumeRequest {
  const made = publishRequest(more, context);
  return { ...made, volume_capability: { block: null, ...made.volume_capability } } as NodePublishVolumeRequest;
}

/** A request with these mount options. */
function flagged(mount_flags: readonly string[]): NodePublishVolumeRequest {
  return request({ volume_capability: { mount: { volume_mount_group: '', mount_flags } } });
}

function faultOf(made: NodePublishVolumeRequest): string {
  try {
    readPublish(made);
    return 'accepted';
  } catch (error) {
    assert.ok(error instanceof CallError, `${error} is no CallError`);
    assert.equal(error.status.code, 3);
    return error.message;
  }
}

test('a complete call becomes a request', () => {
  assert.deepEqual(readPublish(request()), {
    volumeId: 'csi-0123456789abcdef',
    targetPath,
    volumeName: 'mtls',
    pod: { namespace: 'shop', name: 'web-0', uid: podUID, serviceAccountName: 'web' },
    declaration: {
      sources: [
        {
          kind: 'clusterTrustBundle',
          index: 0,
          select: { by: 'name', name: 'roots' },
          optional: false,
          path: 'ca.pem',
        },
      ],
    },
  });
});

test("the pod's fsGroup arrives as a number, 0 included", () => {
  const group = (text: string) => request({ volume_capability: { mount: { volume_mount_group: text } } });
  assert.equal(readPublish(group('2000')).mountGroup, 2000);
  assert.equal(readPublish(group('0')).mountGroup, 0);
  // The last number of Linux' gid_t means "unchanged".
  assert.equal(readPublish(group('4294967294')).mountGroup, 4_294_967_294);
  for (const wrong of ['root', '-1', '1.5', '4294967295', '99999999999']) {
    assert.match(faultOf(group(wrong)), /volume_mount_group must be a numeric group id/, wrong);
  }
  assert.match(faultOf(group('9'.repeat(1000))), /volume_mount_group must be a numeric group id, not "9{64}"$/);
});

test('a pod that the kubelet does not name in full is one fault, whichever name is missing', () => {
  for (const name of ['pod.name', 'pod.namespace', 'pod.uid', 'serviceAccount.name']) {
    const { [`csi.storage.k8s.io/${name}`]: _, ...context } = request().volume_context;
    for (const volume_context of [context, { ...context, [`csi.storage.k8s.io/${name}`]: '' }]) {
      assert.match(
        faultOf({ ...request(), volume_context }),
        /^the pod is not named: [^;]*podInfoOnMount: true"\)$/,
        name,
      );
    }
  }
});

test('each missing or wrong field has a message for its author', () => {
  const context = (name: string, value: string) => request({}, { [`csi.storage.k8s.io/${name}`]: value });
  const cases: [NodePublishVolumeRequest, RegExp][] = [
    [request({ volume_id: '' }), /^volume_id is missing$/],
    [request({ volume_id: '../x' }), /^volume_id must be at most 128 letters/],
    [request({ volume_id: 'x'.repeat(129) }), /^volume_id must be at most 128 letters/],
    [request({ target_path: '' }), /^target_path is missing$/],
    [request({ target_path: 'relative' }), /^target_path must be an absolute path/],
    [request({ target_path: `${targetPath}/../mount` }), /^target_path must be an absolute path/],
    [request({ target_path: '/etc' }), /^target path "\/etc" is not of the form/],
    [request({ target_path: targetPath.replace(podUID, 'other') }), /^target_path is not of pod/],
    [{ ...request(), volume_capability: null }, /^volume_capability is missing$/],
    [{ ...request(), volume_capability: { block: {}, mount: null } }, /^volume_capability must be mount: the volume/],
    [{ ...request(), volume_capability: { block: null, mount: null } }, /^volume_capability must be mount$/],
    [
      flagged(['ro']),
      /^volume_capability\.mount\.mount_flags may hold one SELinux context, .* and nothing else, not "ro"$/,
    ],
    [request({ readonly: false }), /^readonly is not set: write "readOnly: true" beside "driver"/],
    [context('ephemeral', 'false'), /volumeLifecycleModes: \[Ephemeral\]/],
    [context('pod.namespace', 'a/b'), /pod\.namespace is not a namespace's name$/],
    [context('pod.name', '../x'), /pod\.name is not a pod's name$/],
    [context('pod.uid', '../x'), /pod\.uid is not a pod's UID/],
    [context('serviceAccount.name', 'A'), /serviceAccount\.name is not a service account's name$/],
    [
      request({}, { sources: '[{clusterTrustBundle: {name: a, path: ../b}}]' }),
      /^sources\[0\]\.clusterTrustBundle\.path: /,
    ],
  ];
  for (const [made, message] of cases) {
    assert.match(faultOf(made), message);
  }
});

const label = 'system_u:object_r:container_file_t:s0:c10,c20';

test('the SELinux context that the kubelet passes is taken, with and without its quotes', () => {
  for (const flag of [`context="${label}"`, `context=${label}`]) {
    assert.equal(readPublish(flagged([flag])).seLinuxContext, label);
  }
  assert.equal(readPublish(flagged(['context="a_u:b_r:c_t"'])).seLinuxContext, 'a_u:b_r:c_t');
  assert.equal('seLinuxContext' in readPublish(flagged([])), false);
});

test('a volume ID of 128 characters and a context of 1024 are taken, and no longer ones', () => {
  assert.equal(readPublish(request({ volume_id: 'x'.repeat(128) })).volumeId, 'x'.repeat(128));
  assert.match(faultOf(request({ volume_id: 'x'.repeat(129) })), /^volume_id must be at most 128 letters/);
  const context = (length: number) => flagged([`context="a:b:${'c'.repeat(length - 4)}"`]);
  assert.equal(readPublish(context(1024)).seLinuxContext?.length, 1024);
  assert.match(faultOf(context(1025)), /^volume_capability\.mount\.mount_flags may hold one SELinux context/);
});

test('no other mount option is let through, nor anything beside a context', () => {
  const refused = [
    ['rw'],
    ['exec'],
    ['size=1t'],
    [''],
    ['context='],
    ['context=""'],
    [`context="${label}`],
    [`context=${label}"`],
    [`context="${label}",exec`],
    [`context="${label}",suid,context="${label}"`],
    [`context="a:b:c:s0 exec"`],
    ['context="a:b:c\\"'],
    ['context="a:b:c\n"'],
    ['context="a:b:c:s0\u0000"'],
    ['context=a:b'],
    ['context="äöü:b:c"'],
    [`fscontext="${label}"`],
    [`defcontext="${label}"`],
    [`rootcontext="${label}"`],
    [`CONTEXT="${label}"`],
    [`context="${label}"`, 'exec'],
    [`context="${label}"`, `context="${label}"`],
    [`context="a:b:c:${'c,'.repeat(1024)}"`],
  ];
  // A comma in a context is part of the context, for mount(8) too: it stands in quotes.
  const { seLinuxContext } = readPublish(flagged([`context=${label},exec`]));
  assert.equal(contextOption(seLinuxContext), `,context="${label},exec"`);
  for (const flags of refused) {
    assert.match(faultOf(flagged(flags)), /^volume_capability\.mount\.mount_flags may hold one SELinux/, flags.join());
  }
});

test('all faults of a call are in one message', () => {
  const fault = faultOf(request({ readonly: false, volume_id: '' }, { sources: '[{}, {}]', colour: 'blue' }));
  assert.deepEqual(
    fault.split('; ').map((part) => part.split(/[: ]/, 1)[0]),
    ['volume_id', 'readonly', 'volumeAttributes', 'sources[0]', 'sources[1]'],
  );
});

test('what the kubelet shall retry has a code that is not final, and what leaves no mount a final one', () => {
  const message = 'm';
  assert.equal(statusOfOutcome({ type: 'ready' }), undefined);
  assert.deepEqual(statusOfOutcome({ type: 'waiting', message }), { code: 10, details: message });
  assert.deepEqual(statusOfOutcome({ type: 'refused', message }), { code: 10, details: message });
  assert.deepEqual(statusOfOutcome({ type: 'invalid', message }), { code: 3, details: message });
  assert.deepEqual(statusOfOutcome({ type: 'unavailable', message }), { code: 14, details: message });
  assert.deepEqual(statusOfError(new VolumeError('NoSpace', message)), { code: 8, details: message });
  assert.deepEqual(statusOfError(new VolumeError('InvalidTarget', message)), { code: 3, details: message });
});

test('an unexpected error shows nothing of itself to the caller', () => {
  const { code, details } = statusOfError(new Error('-----BEGIN PRIVATE KEY-----'));
  assert.equal(code, 14);
  assert.doesNotMatch(details, /PRIVATE/);
  assert.ok(!isExpected(new Error('x')), 'an error that nobody foresaw is taken for an expected one');
  assert.ok(
    isExpected(new VolumeError('Gone', 'x')) && isExpected(new CallError(3, 'x')),
    'an expected error is taken for one that nobody foresaw',
  );
});

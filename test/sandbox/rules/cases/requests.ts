/**
 * Requests that cases start from: a good PodCertificateRequest for the pod web-a, a good status for it, a good bundle.
 */
import type { ApiObject, JsonObject } from '../../../../sandbox/base/objects.ts';
import type { CaseRequest, RuleCase, World } from './case.ts';
import type { KeyName } from './keys.ts';

export const requestsResource = 'podcertificaterequests.certificates.k8s.io';
export const bundlesResource = 'clustertrustbundles.certificates.k8s.io';

export const minuteMs = 60_000;
export const hourMs = 60 * minuteMs;

/** The fields that carry a key, in the form of the world's API version. */
export function keyMaterial(world: World, name: KeyName, podUID = world.uid('Pod', 'web-a')): JsonObject {
  const key = world.key(name);
  return world.usesStub
    ? { stubPKCS10Request: key.stub().toString('base64') }
    : { pkixPublicKey: key.spki.toString('base64'), proofOfPossession: key.prove(podUID).toString('base64') };
}

/** The field that errors about the key name. */
export function keyField(world: World): string {
  return world.usesStub ? 'spec.stubPKCS10Request' : 'spec.pkixPublicKey';
}

/** A good spec. An override of undefined takes a field away. */
export function requestSpec(world: World, overrides: JsonObject = {}): JsonObject {
  return {
    signerName: 'example.com/foo',
    podName: 'web-a',
    podUID: world.uid('Pod', 'web-a'),
    serviceAccountName: 'web',
    serviceAccountUID: world.uid('ServiceAccount', 'web'),
    nodeName: 'node-a',
    nodeUID: world.uid('Node', 'node-a'),
    ...keyMaterial(world, 'ED25519'),
    ...overrides,
  };
}

export function podCertificateRequest(
  world: World,
  spec: JsonObject = {},
  metadata: JsonObject = { name: 'request' },
): ApiObject {
  return {
    apiVersion: `certificates.k8s.io/${world.requestVersion}`,
    kind: 'PodCertificateRequest',
    metadata: { namespace: 'default', ...metadata },
    spec: requestSpec(world, spec),
  };
}

/** Creation of a request. */
export function creation(world: World, spec: JsonObject = {}, metadata?: JsonObject): CaseRequest {
  return {
    verb: 'create',
    resource: requestsResource,
    version: world.requestVersion,
    namespace: 'default',
    body: podCertificateRequest(world, spec, metadata),
  };
}

/** A case in which an administrator creates a request that differs from a good one in its spec. */
export function creationOf(
  name: string,
  spec: JsonObject | ((world: World) => JsonObject),
  expected: RuleCase['expected'],
): RuleCase {
  return {
    name,
    user: 'admin',
    request: (world) => creation(world, typeof spec === 'function' ? spec(world) : spec),
    expected,
  };
}

/** A true condition with all that conditions need. */
export function condition(world: World, type: string, overrides: JsonObject = {}): JsonObject {
  return { type, status: 'True', reason: 'Because', message: '', lastTransitionTime: rfc3339(world.now), ...overrides };
}

/** A good status: a certificate for an hour. */
export async function issuedStatus(world: World, overrides: JsonObject = {}): Promise<JsonObject> {
  const [notBefore, notAfter] = [world.now, world.now + hourMs];
  const { spki } = world.key('ED25519');
  return {
    conditions: [condition(world, 'Issued')],
    certificateChain: await world.certificates.leaf({ spki, notBefore, notAfter }),
    notBefore: rfc3339(notBefore),
    notAfter: rfc3339(notAfter),
    beginRefreshAt: rfc3339(notBefore + 30 * minuteMs),
    ...overrides,
  };
}

/** An update of a request's status. @param before the status it had */
export function statusUpdate(
  world: World,
  status: JsonObject,
  before?: JsonObject,
  spec: JsonObject = {},
): CaseRequest {
  const stored = podCertificateRequest(world, { maxExpirationSeconds: 86_400, ...spec });
  return {
    verb: 'update',
    resource: requestsResource,
    version: world.requestVersion,
    namespace: 'default',
    name: 'request',
    subresource: 'status',
    before: before === undefined ? stored : { ...stored, status: before },
    body: { ...stored, status },
  };
}

/** Creation of a bundle. */
export function bundleCreation(world: World, name: string, spec: JsonObject, metadata: JsonObject = {}): CaseRequest {
  return {
    verb: 'create',
    resource: bundlesResource,
    version: world.bundleVersion,
    body: {
      apiVersion: `certificates.k8s.io/${world.bundleVersion}`,
      kind: 'ClusterTrustBundle',
      metadata: { ...(name === '' ? {} : { name }), ...metadata },
      spec,
    },
  };
}

/** RFC 3339 with whole seconds, as Kubernetes writes times. */
export function rfc3339(time: number): string {
  return `${new Date(time).toISOString().slice(0, 19)}Z`;
}

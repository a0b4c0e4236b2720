/**
 * The world of the cases in memory, and their judgement by the rules alone, in the order in which a server asks them.
 */
import type {
  KubernetesVersion,
  RequestAttributes,
  Rules,
  RulesContext,
  UserInfo,
  ValidationRequest,
} from '../../../sandbox/base/cluster-rules.ts';
import { ApiError, invalid } from '../../../sandbox/base/errors.ts';
import type { ApiObject, ObjectReader } from '../../../sandbox/base/objects.ts';
import { refusal } from '../../../sandbox/identity/access.ts';
import { certify, certifyKey, type Holder, makeHolder, pemOf } from '../../support/certificates.ts';
import type { CaseRequest, CertificateMaker, Expected, RuleCase, World } from './cases/case.ts';
import type { KeyName, TestKey } from './cases/keys.ts';
import { type StoredObject, storedObjects, users } from './cases/objects.ts';

const dayMs = 24 * 60 * 60 * 1000;

/** A Kubernetes version and the API versions that it serves requests and bundles as. */
export interface Served {
  readonly kubernetes: KubernetesVersion;
  readonly requestVersion: string;
  readonly bundleVersion: string;
}

export const servedVersions: readonly Served[] = [
  { kubernetes: '1.34', requestVersion: 'v1alpha1', bundleVersion: 'v1beta1' },
  { kubernetes: '1.35', requestVersion: 'v1beta1', bundleVersion: 'v1beta1' },
  { kubernetes: '1.36', requestVersion: 'v1beta1', bundleVersion: 'v1beta1' },
  { kubernetes: '1.37', requestVersion: 'v1', bundleVersion: 'v1' },
  { kubernetes: '1.37', requestVersion: 'v1beta1', bundleVersion: 'v1beta1' },
];

/** @param key makes keys; shared, because some take long */
export function createWorld(
  served: Served,
  key: (name: KeyName) => TestKey,
  certificates: CertificateMaker,
  now: number,
): World {
  return {
    ...served,
    now,
    users,
    key,
    certificates,
    usesStub: served.kubernetes === '1.36' || served.kubernetes === '1.37',
    uid: (kind, name) => `uid-${kind.toLowerCase()}-${name}`,
  };
}

/** Makes certificates by authorities of its own. */
export function createCertificates(now: number): CertificateMaker {
  const holders = new Map<number, Promise<Holder>>();
  const holder = (index: number): Promise<Holder> => {
    const made = holders.get(index) ?? makeHolder(`CN=authority ${index}`);
    holders.set(index, made);
    return made;
  };
  const validity = { notBefore: now - dayMs, notAfter: now + 100 * dayMs };
  const authorities = new Map<number, Promise<string>>();
  const selfSigned = async (index: number): Promise<string> => {
    const own = await holder(index);
    return pemOf(await certify(own, own, validity));
  };
  return {
    authority: (index = 0) => {
      const made = authorities.get(index) ?? selfSigned(index);
      authorities.set(index, made);
      return made;
    },
    leaf: async ({ spki, notBefore, notAfter, dnsNames = [], emailAddresses = [] }) => {
      const names = [
        ...dnsNames.map((value) => ({ type: 'dns' as const, value })),
        ...emailAddresses.map((value) => ({ type: 'email' as const, value })),
      ];
      return pemOf(await certifyKey(spki, await holder(0), { names, notBefore, notAfter }));
    },
  };
}

/** Read access to the cases' objects and some more. */
export function objectReader(world: World, more: readonly StoredObject[]): ObjectReader {
  const all = [...storedObjects.map((stored) => withUid(world, stored)), ...more];
  const namespaceOf = (object: ApiObject): string => object.metadata.namespace ?? '';
  return {
    get: (resource, namespace, name) =>
      all.find(
        (stored) =>
          stored.resource === resource &&
          namespaceOf(stored.object) === namespace &&
          stored.object.metadata.name === name,
      )?.object,
    list: (resource, namespace) =>
      all
        .filter((stored) => stored.resource === resource)
        .map((stored) => stored.object)
        .filter((object) => namespace === undefined || namespaceOf(object) === namespace),
  };
}

function withUid(world: World, { resource, object }: StoredObject): StoredObject {
  const { kind } = object;
  if (kind !== 'Pod' && kind !== 'ServiceAccount' && kind !== 'Node') {
    return { resource, object };
  }
  const uid = world.uid(kind, object.metadata.name ?? '');
  return { resource, object: { ...object, metadata: { ...object.metadata, uid } } };
}

/** What the rules answer. */
export interface Judgement {
  readonly code: number;
  readonly message: string;
  readonly causes: readonly string[];
}

/** Puts a case to the rules as a server does: impersonate, authorize, default, admit, validate. */
export function judge(rules: Rules, { user, impersonate }: RuleCase, request: CaseRequest, world: World): Judgement {
  const stored = 'path' in request || request.before === undefined ? [] : [storedBefore(request, request.before)];
  const context: RulesContext = {
    objects: objectReader(world, stored),
    now: world.now,
    kubernetes: world.kubernetes,
    timeScale: 1,
  };
  const asked = attributesOf(request, world.users[user]);
  const outcome = impersonate === undefined ? { user: asked.user } : rules.impersonate(impersonate, asked, context);
  if (outcome instanceof ApiError) {
    return judgement(outcome);
  }
  const attributes = { ...asked, user: outcome.user };
  const decision = rules.authorize(attributes, context);
  if (!decision.allowed) {
    return judgement(refusal(attributes, decision.reason));
  }
  if ('path' in request || attributes.kind === 'path') {
    return success;
  }
  const { before, body, verb } = request;
  if (verb === 'delete' && before !== undefined) {
    const deletion = { phase: 'after validation', operation: 'delete', attributes, oldObject: before } as const;
    const refused = rules.admit(deletion, context);
    return refused === undefined ? success : judgement(refused);
  }
  return body === undefined ? success : judgeChange(rules, request, attributes, body, context);
}

const success: Judgement = { code: 200, message: '', causes: [] };

type ResourceRequest = Exclude<CaseRequest, { readonly path: string }>;

function judgeChange(
  rules: Rules,
  request: ResourceRequest,
  attributes: RequestAttributes & { readonly kind: 'resource' },
  body: ApiObject,
  context: RulesContext,
): Judgement {
  const { resource, subresource, version, before } = request;
  const object = structuredClone(body);
  const isToken = subresource === 'token';
  const { user } = attributes;
  const validation: ValidationRequest = { user, resource: isToken ? `${resource}/token` : resource, version, object };
  rules.default(validation, context);
  const operation = request.verb === 'create' ? ('create' as const) : ('update' as const);
  const change = { operation, attributes, object, ...(before === undefined ? {} : { oldObject: before }) };
  const restricted = rules.admit({ phase: 'before validation', ...change }, context);
  if (restricted !== undefined) {
    return judgement(restricted);
  }
  const { name, generateName } = object.metadata;
  if (name === undefined && generateName !== undefined) {
    object.metadata.name = `${generateName}abcde`;
  }
  const faults =
    before === undefined
      ? rules.validateCreate(validation, context)
      : subresource === 'status'
        ? rules.validateStatusUpdate(validation, before, context)
        : rules.validateUpdate(validation, before, context);
  const subject = { group: attributes.apiGroup, resource: object.kind ?? '' };
  if (faults.length > 0) {
    return judgement(invalid(subject, object.metadata.name ?? '', faults));
  }
  const refused = rules.admit({ phase: 'after validation', ...change }, context);
  return refused === undefined ? success : judgement(refused);
}

function judgement(error: ApiError): Judgement {
  const causes = error.details?.causes ?? [];
  return {
    code: error.code,
    message: error.message,
    causes: causes.map(({ field, reason }) => `${field} ${reason}`),
  };
}

function storedBefore({ resource }: ResourceRequest, object: ApiObject): StoredObject {
  return { resource, object };
}

function attributesOf(request: CaseRequest, user: UserInfo): RequestAttributes {
  if ('path' in request) {
    return { kind: 'path', user, verb: request.verb, path: request.path };
  }
  const { fieldSelector, name, namespace, resource, subresource, verb, version } = request;
  const [plural = '', ...group] = resource.split('.');
  return {
    kind: 'resource',
    user,
    verb,
    apiGroup: group.join('.'),
    apiVersion: version,
    resource: plural,
    subresource: subresource ?? '',
    namespace: namespace ?? '',
    name: name ?? '',
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
  };
}

/** What is expected in this world. */
export function expectedIn(one: RuleCase, world: World): Expected {
  return typeof one.expected === 'function' ? one.expected(world) : one.expected;
}

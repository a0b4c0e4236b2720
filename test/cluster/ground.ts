/**
 * What the suite stands on in a cluster: two nodes that no machine is behind, pods bound to them, service accounts, roles.
 * Everything carries a mark and a label, and is taken away again.
 */
import { randomBytes } from 'node:crypto';
import { Agent } from 'node:https';
import { nodeLabel } from '../../agent/issuance/contents-request.ts';
import type { UserInfo } from '../../sandbox/base/cluster-rules.ts';
import { isObject, type JsonObject } from '../../sandbox/base/objects.ts';
import { createSignerApi } from '../../sandbox/signers/api.ts';
import { type Signer, startSigner } from '../../sandbox/signers/signer.ts';
import type { PodReference } from '../../volumes/base/volume.ts';
import type { UserName } from '../sandbox/rules/cases/case.ts';
import { storedObjects, users } from '../sandbox/rules/cases/objects.ts';
import { createObjects, type ReplayTarget } from '../sandbox/rules/replay.ts';
import { type Answer, call, type Target } from '../sandbox/serving/client.ts';
import { type Access, openAccess } from './access.ts';
import { createNames, type SuiteNames, suiteLabel } from './names.ts';
import { findOffers, type Offers } from './server.ts';

export interface Ground {
  readonly access: Access;
  readonly offers: Offers;
  readonly names: SuiteNames;
  /** For the cases: every user of theirs, and names of the suite's own. */
  readonly replayTarget: ReplayTarget;
  /** UID of one of the cases' objects. */
  uid(kind: 'Pod' | 'ServiceAccount' | 'Node', name: string): string;
  /** Creates an object under the suite's label; it goes with the suite. @throws Error when it is refused */
  create(collection: string, object: JsonObject): Promise<JsonObject>;
  /** Token of a service account, bound to a pod of it. */
  tokenFor(
    namespace: string,
    serviceAccount: string,
    pod?: { readonly name: string; readonly uid: string },
  ): Promise<string>;
  /** The pod `web-a` of the cases. */
  readonly web: PodReference;
  readonly nodeName: string;
  /** A signer of the sandbox's, started at its first use. */
  signer(): Promise<Signer>;
  /** Removes everything. Idempotent. */
  clear(): Promise<void>;
}

const agentUsers: Readonly<Partial<Record<UserName, string>>> = {
  'agent on node-a': 'agent',
  'agent that may not impersonate': 'agent-noimp',
  'agent that may impersonate only': 'agent-noon',
  'agent with resourceNames': 'agent-names',
  'agent with classic impersonation': 'agent-legacy',
};

/**
 * @param onBegin told how to take everything away, before anything is made
 * @throws AgentError when the cluster cannot be reached or does not serve PodCertificateRequests
 */
export async function prepareGround(
  kubeconfigPath: string,
  onBegin: (clear: () => Promise<void>) => void = () => {},
): Promise<Ground> {
  const access = await openAccess(kubeconfigPath);
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  const names = createNames(`pct-${randomBytes(3).toString('hex')}`);
  /** Paths of what is to be removed, in the order of creation. */
  const made: string[] = [];
  const admin = access.admin.target;
  const send = (path: string, method: string, body?: unknown): Promise<Answer> =>
    call(admin, path, { method, body, agent });

  let cleared = false;
  const create: Ground['create'] = async (collection, object) => {
    if (cleared) {
      throw new Error('the suite has ended');
    }
    const metadata = isObject(object['metadata']) ? object['metadata'] : {};
    const labels = { ...(isObject(metadata['labels']) ? metadata['labels'] : {}), [suiteLabel.key]: suiteLabel.value };
    const answer = await send(collection, 'POST', { ...object, metadata: { ...metadata, labels } });
    if (answer.status >= 300) {
      throw new Error(`${collection}: ${answer.body['message']}`);
    }
    made.push(`${collection}/${nameOf(answer.body)}`);
    return answer.body as JsonObject;
  };
  let signing: Promise<Signer> | undefined;
  const clear = once(async () => {
    cleared = true;
    (await signing?.catch(() => undefined))?.close();
    await removeAll(send, names, made);
    access.close();
    agent.destroy();
  });

  onBegin(clear);
  try {
    const offers = await findOffers(access);
    const labels = { [suiteLabel.key]: suiteLabel.value };
    const target: ReplayTarget = { ...admin, agent, names, labels, users: plainUsers(access, names) };
    made.push(...pathsOfCases(names));
    const uids = await createObjects(target);
    const tokenFor = tokens(send);
    const ground: Ground = {
      ...{ access, offers, names, create, tokenFor, clear },
      replayTarget: { ...target, users: { ...target.users, ...(await agents()) } },
      uid: (kind, name) => uids.get(`${kind}/${name}`) ?? '',
      web: { namespace: names.namespace, name: 'web-a', uid: uids.get('Pod/web-a') ?? '', serviceAccountName: 'web' },
      nodeName: `${names.mark}-node-a`,
      signer: () => {
        signing ??= startSuiteSigner(ground, (path) => made.push(path));
        return signing;
      },
    };
    return ground;

    /** Agents need real tokens: who is impersonated cannot impersonate. */
    async function agents(): Promise<Partial<Record<UserName, Target>>> {
      const found: Partial<Record<UserName, Target>> = {};
      for (const [user, account] of Object.entries(agentUsers)) {
        const token = await tokenFor(names.agentNamespace, account, await podOf(account));
        found[user as UserName] = access.withToken(token).target;
      }
      const unbound = await tokenFor(names.agentNamespace, 'agent');
      return { ...found, 'agent without a node': access.withToken(unbound).target };
    }

    async function podOf(serviceAccountName: string): Promise<{ name: string; uid: string }> {
      const pod = await create(`/api/v1/namespaces/${names.agentNamespace}/pods`, {
        metadata: { name: `${serviceAccountName}-token` },
        spec: {
          nodeName: `${names.mark}-node-a`,
          serviceAccountName,
          automountServiceAccountToken: false,
          containers: [{ name: 'none', image: 'registry.k8s.io/pause:3.10' }],
        },
      });
      const { name, uid } = pod['metadata'] as { name: string; uid: string };
      return { name, uid };
    }
  } catch (error) {
    await clear();
    throw error;
  }
}

/** @param note takes the path of the trust bundle, which is to be removed with the rest */
async function startSuiteSigner(ground: Ground, note: (path: string) => void): Promise<Signer> {
  const { access, names } = ground;
  const { bundleApi, kubernetes } = ground.offers;
  const signerName = `suite.podcert.example/${names.mark}`;
  if (kubernetes === '1.37') {
    // The suite's pods do not name the signer in a projected volume; then nodes need to be allowed it.
    const [name, group] = [`${names.mark}-nodes`, 'rbac.authorization.k8s.io'];
    const rules = [
      { apiGroups: ['certificates.k8s.io'], resources: [signerName], verbs: ['request-podcertificate-signer'] },
    ];
    await ground.create(`/apis/${group}/v1/clusterroles`, { metadata: { name }, rules });
    await ground.create(`/apis/${group}/v1/clusterrolebindings`, {
      metadata: { name },
      roleRef: { apiGroup: group, kind: 'ClusterRole', name },
      subjects: [{ apiGroup: group, kind: 'Group', name: 'system:nodes' }],
    });
  }
  const api = createSignerApi(access.client(access.admin));
  const signer = await startSigner({
    signerName,
    api: bundleApi === undefined ? { ...api, applyTrustBundle: async () => {} } : api,
  });
  if (bundleApi !== undefined) {
    note(`${bundleApi.pathPrefix}/clustertrustbundles/${encodeURIComponent(signer.trustBundleName)}`);
  }
  return signer;
}

function plainUsers(access: Access, names: SuiteNames): Partial<Record<UserName, Target>> {
  const as = (user: UserInfo): Target => access.as(names.user(user)).target;
  return {
    admin: access.admin.target,
    'node-a': as(users['node-a']),
    'node-b': as(users['node-b']),
    signer: as(users.signer),
    'signer without sign': as(users['signer without sign']),
    nobody: as(users.nobody),
  };
}

/** Objects that the cases have made, by the paths under which they lie. Those in namespaces go with the namespaces. */
function pathsOfCases(names: SuiteNames): string[] {
  return storedObjects.flatMap(({ resource, object }) => {
    if (object.metadata.namespace !== undefined) {
      return [];
    }
    const [plural = '', ...group] = resource.split('.');
    const base = group.length === 0 ? '/api/v1' : `/apis/${group.join('.')}/v1`;
    const { name = '' } = object.metadata;
    if (object.kind !== 'Namespace') {
      return [`${base}/${plural}/${names.outgoing(name)}`];
    }
    return [`${base}/${plural}/${name === 'default' ? names.namespace : names.agentNamespace}`];
  });
}

function tokens(send: (path: string, method: string, body?: unknown) => Promise<Answer>): Ground['tokenFor'] {
  return async (namespace, serviceAccount, pod) => {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`;
    const boundObjectRef = pod === undefined ? {} : { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', ...pod } };
    const { status, body } = await send(path, 'POST', { spec: { expirationSeconds: 3600, ...boundObjectRef } });
    const token = isObject(body['status']) ? body['status']['token'] : undefined;
    if (status >= 300 || typeof token !== 'string') {
      throw new Error(`${path}: ${body['message']}`);
    }
    return token;
  };
}

/**
 * Newest first. Pods on nodes without a kubelet would end never: they are removed at once. Where no namespace controller
 * runs, a namespace stays behind, empty.
 */
async function removeAll(
  send: (path: string, method: string, body?: unknown) => Promise<Answer>,
  names: SuiteNames,
  made: readonly string[],
): Promise<void> {
  for (const namespace of [names.namespace, names.agentNamespace]) {
    for (const collection of [
      ...['pods', 'serviceaccounts', 'events'].map((resource) => `/api/v1/namespaces/${namespace}/${resource}`),
      ...['v1', 'v1beta1', 'v1alpha1'].map(
        (version) => `/apis/certificates.k8s.io/${version}/namespaces/${namespace}/podcertificaterequests`,
      ),
    ]) {
      await send(collection, 'DELETE', { gracePeriodSeconds: 0, propagationPolicy: 'Background' });
    }
  }
  const signingRequests = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
  await send(
    `${signingRequests}?labelSelector=${encodeURIComponent(`${nodeLabel}=${names.mark}-node-a`)}`,
    'DELETE',
    {},
  );
  const left: string[] = [];
  for (const path of made.toReversed()) {
    const { status } = await send(path, 'DELETE', { gracePeriodSeconds: 0, propagationPolicy: 'Background' });
    // 409: a namespace that is being ended already.
    if (status >= 300 && status !== 404 && status !== 409) {
      left.push(`${path} (HTTP ${status})`);
    }
  }
  if (left.length > 0) {
    throw new Error(`could not be removed: ${left.join(', ')}`);
  }
}

function nameOf(object: Answer['body']): string {
  const metadata = object['metadata'];
  return isObject(metadata) && typeof metadata['name'] === 'string' ? metadata['name'] : '';
}

function once(task: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => {
    running ??= task();
    return running;
  };
}

/**
 * The stand-in for the API server: a process of its own that serves over TLS what the agent asks for, from text that is made
 * once, and whose signer answers at once. It checks nothing: who calls, what a request proves, and what a node may see are
 * the sandbox's to check. Started by `api-server.ts`.
 */
import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { createServingCredentials } from '../../sandbox/serving/tls.ts';
import {
  type ApiServerCalls,
  accountUid,
  type BundleOfBench,
  type Listening,
  monotonicMs,
  nodeName,
  nodeUid,
  type PodOfBench,
  type Signing,
} from './api-server-calls.ts';
import { createCollection, createVersions, type StoredObject } from './collection.ts';
import { answerCalls } from './program.ts';
import { createBenchSigner, keyOfStub } from './signer.ts';

const certificates = 'certificates.k8s.io/v1';
const versions = createVersions();
/** More than are under way at the same time. */
const mostRequests = 500;

const pods = createCollection('v1', 'Pod', versions);
/** The controller manager deletes requests a quarter of an hour after they were made. */
const requests = createCollection(certificates, 'PodCertificateRequest', versions, mostRequests);
const bundles = createCollection(certificates, 'ClusterTrustBundle', versions);
const signer = await createBenchSigner(Date.now());
const counts = new Map<string, number>();
const waiting = new Map<string, StoredObject>();
/** Names of pods that have had a certificate. */
const answered = new Set<string>();
let signing: Signing = { holdsRenewals: false, lifetimeSeconds: 86_400, refreshAfterSeconds: 57_600 };

const served = ['podcertificaterequests', 'clustertrustbundles', 'certificatesigningrequests'].map((name) => ({
  name,
}));
const resources = JSON.stringify({ kind: 'APIResourceList', groupVersion: certificates, resources: served });
const version = JSON.stringify({ major: '1', minor: '37', gitVersion: 'v1.37.0-bench' });
const createdAt = rfc3339(Date.now());
const node = textOf('v1', 'Node', { metadata: { name: nodeName, uid: nodeUid, resourceVersion: '1000' } });

function rfc3339(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

function textOf(apiVersion: string, kind: string, object: object): string {
  return JSON.stringify({ apiVersion, kind, ...object });
}

function count(what: string, by = 1): void {
  counts.set(what, (counts.get(what) ?? 0) + by);
}

function send(response: ServerResponse, status: number, text: string): void {
  const length = Buffer.byteLength(text);
  count('bytes sent', length);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': length });
  response.end(text);
}

function sendMissing(response: ServerResponse, what: string): void {
  const name = what.split('/').at(-1) ?? '';
  const message = `${what} not found`;
  const status = { status: 'Failure', reason: 'NotFound', code: 404, message, details: { name } };
  send(response, 404, textOf('v1', 'Status', { metadata: {}, ...status }));
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) {
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  count('bytes received', body.length);
  return body;
}

/** Which objects the query selects, by fields. */
function selection(query: URLSearchParams): (object: StoredObject) => boolean {
  const terms = (query.get('fieldSelector') ?? '').split(',').flatMap((term) => {
    const [path = '', value = ''] = term.split('=');
    return path === '' ? [] : [{ path: path.split('.'), value }];
  });
  const isThere = ({ path, value }: { readonly path: readonly string[]; readonly value: string }, object: unknown) =>
    path.reduce((from: unknown, field) => Object(from)[field], object) === value;
  return (object) => terms.every((term) => isThere(term, object));
}

async function issue(request: StoredObject): Promise<number> {
  const { stubPKCS10Request, pkixPublicKey } = Object(request['spec']);
  const key =
    typeof stubPKCS10Request === 'string'
      ? keyOfStub(Buffer.from(stubPKCS10Request, 'base64'))
      : Buffer.from(String(pkixPublicKey), 'base64');
  const now = Date.now();
  const issued = await signer.issue(key, now, now + signing.lifetimeSeconds * 1000);
  const condition = { type: 'Issued', status: 'True', reason: 'Issued', message: '', lastTransitionTime: rfc3339(now) };
  const status = {
    conditions: [condition],
    certificateChain: issued.chain,
    notBefore: rfc3339(issued.notBefore),
    notAfter: rfc3339(issued.notAfter),
    beginRefreshAt: rfc3339(now + signing.refreshAfterSeconds * 1000),
  };
  const at = monotonicMs();
  requests.put({ ...request, status });
  return at;
}

async function createRequest(request: IncomingMessage, response: ServerResponse, namespace: string): Promise<void> {
  const sent = JSON.parse((await bodyOf(request)).toString());
  const metadata = { ...sent.metadata, namespace, uid: randomUUID(), creationTimestamp: rfc3339(Date.now()) };
  const object: StoredObject = { metadata, spec: sent.spec };
  send(response, 201, requests.put(object));
  const pod = String(sent.spec.podName);
  if (signing.holdsRenewals && answered.has(pod)) {
    waiting.set(pod, object);
  } else {
    await issue(object);
    answered.add(pod);
  }
}

interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
  readonly namespace: string;
  readonly name: string;
}

/** By method and resource; what is not here does not exist. */
const handlers: Readonly<Record<string, (call: Call) => void | Promise<void>>> = {
  'list pods': ({ response, query }) => pods.serve(response, query, selection(query)),
  'get pods': ({ response, namespace, name }) => sendObject(response, pods.get(`${namespace}/${name}`)?.text, name),
  'get nodes': ({ response, name }) => sendObject(response, name === nodeName ? node : undefined, name),
  'get serviceaccounts': ({ response, namespace, name }) => {
    const metadata = { name, namespace, uid: accountUid, resourceVersion: '1001', creationTimestamp: createdAt };
    send(response, 200, textOf('v1', 'ServiceAccount', { metadata }));
  },
  'create events': async ({ request, response }) => send(response, 201, (await bodyOf(request)).toString()),
  'patch events': async ({ request, response }) => send(response, 200, (await bodyOf(request)).toString()),
  'create podcertificaterequests': ({ request, response, namespace }) => createRequest(request, response, namespace),
  'list podcertificaterequests': ({ response, query }) => requests.serve(response, query, selection(query)),
  'get podcertificaterequests': ({ response, namespace, name }) =>
    sendObject(response, requests.get(`${namespace}/${name}`)?.text, name),
  'list clustertrustbundles': ({ response, query }) => bundles.serve(response, query, selection(query)),
  'get clustertrustbundles': ({ response, name }) => sendObject(response, bundles.get(`/${name}`)?.text, name),
};

function sendObject(response: ServerResponse, text: string | undefined, what: string): void {
  if (text === undefined) {
    sendMissing(response, what);
  } else {
    send(response, 200, text);
  }
}

const path =
  /^\/(?:api\/v1|apis\/[^/]+\/v1)(?:\/namespaces\/(?<namespace>[^/]+))?\/(?<resource>[^/]+)(?:\/(?<name>[^/]+))?$/;
const verbs: Readonly<Record<string, string>> = { GET: 'get', POST: 'create', PATCH: 'patch', DELETE: 'delete' };

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'https://bench');
  if (url.pathname === `/apis/${certificates}`) {
    count('get discovery');
    send(response, 200, resources);
    return;
  }
  if (url.pathname === '/version') {
    count('get discovery');
    send(response, 200, version);
    return;
  }
  const { namespace = '', resource = '', name = '' } = path.exec(url.pathname)?.groups ?? {};
  const verb = verbs[request.method ?? ''] ?? '';
  const call = `${verb === 'get' && name === '' ? 'list' : verb} ${resource}`;
  count(url.searchParams.get('watch') === 'true' ? `watch ${resource}` : call);
  const handler = handlers[call];
  if (handler === undefined) {
    sendMissing(response, url.pathname);
  } else {
    await handler({ request, response, query: url.searchParams, namespace, name });
  }
}

function podObject({ namespace, name, uid, serviceAccountName, sources, driverName }: PodOfBench): StoredObject {
  const csi = { driver: driverName, readOnly: true, volumeAttributes: { sources } };
  const volumeMounts = [{ name: 'mtls', mountPath: '/var/run/mtls', readOnly: true }];
  return {
    metadata: { name, namespace, uid, creationTimestamp: rfc3339(Date.now()) },
    spec: {
      nodeName,
      serviceAccountName,
      volumes: [{ name: 'mtls', csi }],
      containers: [{ name: 'main', image: 'registry.example/main:1', volumeMounts }],
    },
    status: { phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'True' }] },
  };
}

function bundleObject({ name, signerName, labels, pem = signer.rootPem }: BundleOfBench): StoredObject {
  return { metadata: { name, labels, creationTimestamp: createdAt }, spec: { signerName, trustBundle: pem } };
}

const answers = {
  announce(announced: readonly PodOfBench[]) {
    for (const pod of announced) {
      pods.put(podObject(pod));
    }
    return monotonicMs();
  },
  remove(uids: readonly string[]) {
    const gone = new Set(uids);
    for (const key of pods.keys()) {
      const metadata = pods.get(key)?.object.metadata;
      if (metadata !== undefined && gone.has(String(metadata['uid']))) {
        answered.delete(metadata.name);
        pods.remove(key);
      }
    }
    return monotonicMs();
  },
  signing(now: Signing) {
    signing = now;
  },
  held: () => [...waiting.keys()],
  release(podName: string) {
    const request = waiting.get(podName);
    if (request === undefined) {
      throw new Error(`no request of pod ${podName} waits`);
    }
    waiting.delete(podName);
    return issue(request);
  },
  bundles(given: readonly BundleOfBench[]) {
    const at = monotonicMs();
    for (const bundle of given) {
      bundles.put(bundleObject(bundle));
    }
    return at;
  },
  counts: () => Object.fromEntries(counts),
  processorMs() {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
};

const credentials = await createServingCredentials();
const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
  answer(request, response).catch((error: unknown) => {
    process.stderr.write(`the stand-in for the API server failed: ${String(error)}\n`);
    response.destroy();
  });
};
const server = createServer({ cert: credentials.certificatePem, key: credentials.keyPem }, onRequest);
server.keepAliveTimeout = 600_000;
server.requestTimeout = 0;
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  answerCalls<ApiServerCalls>(answers, { port, caPem: credentials.caPem, rootPem: signer.rootPem } satisfies Listening);
});

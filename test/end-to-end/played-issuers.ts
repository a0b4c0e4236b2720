/**
 * The agent's own issuers over an API server that a test plays in memory, and a signer who answers when he is told to. What
 * the server holds outlives the agent, and any change to it may be the last thing that a process does.
 */
import 'reflect-metadata';
import { Pkcs10CertificateRequest } from '@peculiar/x509';
import { AgentError } from '../../agent/base/errors.ts';
import { issuerByRule } from '../../agent/issuance/by-rule.ts';
import { certificateRequests } from '../../agent/issuance/cert-manager.ts';
import { certificateSigningRequests } from '../../agent/issuance/certificate-signing-request.ts';
import { createContentsIssuer } from '../../agent/issuance/contents-request.ts';
import { type CertificateApi, issuerFor, readIssuerRules } from '../../agent/issuance/issuer-rules.ts';
import type { PodTokens } from '../../agent/issuance/pod-account.ts';
import { createPodCertificateIssuer } from '../../agent/issuance/pod-certificate-request.ts';
import type { RequestApi } from '../../agent/issuance/request-calls.ts';
import type { PodCertificateApi } from '../../agent/kubernetes/discovery.ts';
import { createLiveCopy } from '../../agent/kubernetes/live-copy.ts';
import {
  type CertificateRequest,
  type CertificateSigningRequest,
  type KubernetesObject,
  keyOf,
  type PodCertificateRequest,
} from '../../agent/kubernetes/objects.ts';
import type { Issuer } from '../../agent/lifecycle/ports.ts';
import { createAuthority } from '../../sandbox/signers/authority.ts';
import { requestedCertificate } from '../../sandbox/signers/requested-certificate.ts';
import { rulesFor } from './issuers.ts';

export interface MadeRequest {
  readonly name: string;
  /** SubjectPublicKeyInfo, DER, hexadecimal. */
  readonly spki: string;
}

export interface PlayedIssuers {
  /** The issuer of a new run of the agent. Whatever an earlier run has still to say reaches nobody. */
  nextRun(): Issuer;
  /** All requests ever made, in order. */
  readonly made: readonly MadeRequest[];
  /** Names of the requests that the server holds. */
  held(): readonly string[];
  /** Whether a request waits for the signer. */
  isAsked(): boolean;
  /** Issues for every request that waits. */
  answer(lifetimeMs: number): Promise<void>;
}

export interface PlayedIssuersOptions {
  /** The API through which `signerName` of the tests is asked. */
  readonly api: CertificateApi;
  /** The wall clock. */
  readonly now: () => number;
  /** Asked before a change reaches the server, and again before its reply does: whether the process is dead by then. */
  readonly diesNow: () => boolean;
  readonly isDead: () => boolean;
}

/** One process, from its start to its end. */
interface Run {
  readonly isOver: () => boolean;
  readonly diesNow: () => boolean;
}

type Answered = Readonly<Record<'certificateChain', string> & Record<'notBefore' | 'notAfter', number>>;

const served: PodCertificateApi = {
  apiVersion: 'certificates.k8s.io/v1',
  pathPrefix: '/apis/certificates.k8s.io/v1',
  evidence: 'stub',
  userAnnotations: true,
};
const noTokens: PodTokens = {
  ready: () => Promise.reject(new Error('no rule asks for tokens')),
  bearer: () => Promise.reject(new Error('no rule asks for tokens')),
};

export async function playIssuers({ api, now, ...process }: PlayedIssuersOptions): Promise<PlayedIssuers> {
  const authority = await createAuthority('played', now());
  const reading = readIssuerRules(rulesFor(api));
  if (!reading.ok) {
    throw new Error(reading.fault);
  }
  const rules = reading.value;
  const choice = (namespace: string, signerName: string) => issuerFor(rules, namespace, signerName);
  const collections = {
    podCertificateRequest: createCollection<PodCertificateRequest>(
      ({ spec }) => new Pkcs10CertificateRequest(Buffer.from(spec.stubPKCS10Request ?? '', 'base64')),
      ({ certificateChain, notBefore, notAfter }) => ({
        conditions: [{ type: 'Issued', status: 'True' }],
        certificateChain,
        notBefore: new Date(notBefore).toISOString(),
        notAfter: new Date(notAfter).toISOString(),
        beginRefreshAt: new Date((notBefore + notAfter) / 2).toISOString(),
      }),
    ),
    certificateSigningRequest: createCollection<CertificateSigningRequest>(requestInPem, ({ certificateChain }) => ({
      conditions: [{ type: 'Approved', status: 'True' }],
      certificate: Buffer.from(certificateChain).toString('base64'),
    })),
    certManager: createCollection<CertificateRequest>(requestInPem, ({ certificateChain }) => ({
      conditions: [{ type: 'Ready', status: 'True', reason: 'Issued' }],
      certificate: Buffer.from(certificateChain).toString('base64'),
    })),
  };
  const asked = collections[api];
  let runs = 0;

  function startRun(): Run {
    runs += 1;
    const own = runs;
    return {
      isOver: () => own !== runs || process.isDead(),
      diesNow: () => own !== runs || process.diesNow(),
    };
  }

  return {
    nextRun() {
      const run = startRun();
      const onFault = (fault: AgentError): void => {
        throw fault;
      };
      const shared = { nodeName: 'node-a', tokens: noTokens, trustDomain: () => 'mesh.example', choice, onFault };
      const { podCertificateRequest, certificateSigningRequest, certManager } = collections;
      return issuerByRule(
        {
          podCertificateRequest: createPodCertificateIssuer(
            podCertificateCalls(podCertificateRequest.calls(run)),
            podCertificateRequest.cache(run),
          ),
          certificateSigningRequest: createContentsIssuer({
            ...{ ...shared, kind: certificateSigningRequests },
            ...{ calls: certificateSigningRequest.calls(run), cache: certificateSigningRequest.cache(run) },
          }),
          certManager: createContentsIssuer({
            ...{ ...shared, kind: certificateRequests },
            ...{ calls: certManager.calls(run), cache: certManager.cache(run) },
          }),
        },
        () => rules,
      );
    },
    made: asked.made,
    held: asked.held,
    isAsked: asked.isAsked,
    answer: (lifetimeMs) =>
      asked.answer(async (request) => {
        const notBefore = now() - 1000;
        const certificateChain = await requestedCertificate(authority, request, lifetimeMs / 1000, now());
        return { certificateChain, notBefore, notAfter: notBefore + lifetimeMs };
      }),
  };
}

function requestInPem({ spec }: CertificateSigningRequest | CertificateRequest): Pkcs10CertificateRequest {
  return new Pkcs10CertificateRequest(Buffer.from(spec.request, 'base64').toString('utf8'));
}

type PlayedRequest = KubernetesObject & { readonly status?: object };

/** The requests of one API at the server. */
function createCollection<T extends PlayedRequest>(
  requestIn: (request: T) => Pkcs10CertificateRequest,
  statusOf: (answered: Answered) => NonNullable<T['status']>,
) {
  const objects = createLiveCopy<T>((cause) => {
    throw cause;
  });
  const made: MadeRequest[] = [];
  const waiting = (): readonly T[] => objects.list().filter(({ status }) => status === undefined);
  return {
    made,
    held: () => objects.list().map(({ metadata }) => metadata.name),
    isAsked: () => waiting().length > 0,
    async answer(sign: (request: Pkcs10CertificateRequest) => Promise<Answered>): Promise<void> {
      for (const request of waiting()) {
        const status = statusOf(await sign(requestIn(request)));
        const metadata = { ...request.metadata, resourceVersion: 'answered' };
        // It may have been removed meanwhile.
        if (objects.get(keyOf(request)) === request) {
          objects.put({ ...request, metadata, status });
        }
      }
    },
    calls: (run: Run) => ({
      async create(body: T): Promise<void> {
        await alive(run);
        if (objects.get(keyOf(body)) !== undefined) {
          throw new AgentError('Conflict', `${keyOf(body)} exists`, { actor: 'nobody' });
        }
        const spki = Buffer.from(requestIn(body).publicKey.rawData).toString('hex');
        made.push({ name: body.metadata.name, spki });
        objects.put(body);
        await alive(run);
      },
      async get(_: string, name: string): Promise<T> {
        const found = objects.list().find(({ metadata }) => metadata.name === name);
        if (found === undefined) {
          throw new AgentError('NotFound', `${name} is not there`, { actor: 'nobody' });
        }
        return found;
      },
      async remove(_: string, name: string): Promise<void> {
        await alive(run);
        const found = objects.list().find(({ metadata }) => metadata.name === name);
        if (found !== undefined) {
          objects.remove(found);
        }
        await alive(run);
      },
    }),
    cache: (run: Run) => ({
      get: objects.get,
      list: objects.list,
      lists: () => ({ begun: 1, taken: 1 }),
      subscribe: (listener: Parameters<typeof objects.subscribe>[0]) =>
        objects.subscribe((event) => {
          if (!run.isOver()) {
            listener(event);
          }
        }),
    }),
  };
}

/** A dead process gets no answer. */
async function alive({ diesNow }: Run): Promise<void> {
  if (diesNow()) {
    await new Promise(() => undefined);
  }
}

type Calls = ReturnType<ReturnType<typeof createCollection<PodCertificateRequest>>['calls']>;

function podCertificateCalls({ create, get }: Calls): RequestApi {
  return {
    served: async () => served,
    notServed: () => undefined,
    stubRefused: () => undefined,
    create: (_, body) => create(body),
    get: (_, namespace, name) => get(namespace, name),
  };
}

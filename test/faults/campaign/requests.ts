/** Requests of each certificate API as the API server stores them: who is asked, with which key, and how an answer is written. */
import 'reflect-metadata';
import { Pkcs10CertificateRequest } from '@peculiar/x509';
import type { CertificateApi } from '../../../agent/issuance/issuer-rules.ts';
import type { PodCertificateRequest } from '../../../agent/kubernetes/objects.ts';
import type { ApiObject, JsonObject } from '../../../sandbox/base/objects.ts';
import { requestedKey } from '../../../sandbox/signers/request.ts';
import { withFields } from '../../support/fields.ts';

/** Milliseconds since the epoch. */
export interface AnswerTimes {
  readonly notBefore: number;
  readonly notAfter: number;
  readonly beginRefreshAt: number;
}

export interface RequestForm {
  readonly storedAs: string;
  /** Signers whose names have this domain are asked through this API. */
  readonly domain: string;
  /** The last part of its signer's name. */
  signerOf(request: ApiObject): string;
  podOf(request: ApiObject): string;
  /** SubjectPublicKeyInfo, DER. */
  keyOf(request: ApiObject): Uint8Array;
  isAnswered(request: ApiObject): boolean;
  issued(chain: string, times: AnswerTimes): JsonObject;
  denied(): JsonObject;
  failed(): JsonObject;
}

const podLabel = 'podcert.io/pod-uid';

const condition = (type: string, reason: string, status = 'True'): JsonObject => ({
  type,
  status,
  reason,
  message: 'as ordered',
  lastTransitionTime: timeText(Date.now()),
});

const statusOf = ({ status = {} }: ApiObject) =>
  withFields<{ readonly conditions?: readonly { readonly type: string }[]; readonly certificate?: string }>(status);
const has = (request: ApiObject, ...types: readonly string[]): boolean =>
  (statusOf(request).conditions ?? []).some(({ type }) => types.includes(type));
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const lastPart = (signerName: string): string => signerName.slice(signerName.indexOf('/') + 1);

function keyInPem(request: ApiObject): Uint8Array {
  const { spec } = withFields<{ readonly spec: { readonly request: string } }>(request, 'spec');
  const pem = Buffer.from(spec.request, 'base64').toString('utf8');
  return new Uint8Array(new Pkcs10CertificateRequest(pem).publicKey.rawData);
}

function keyInRequest(request: ApiObject): Uint8Array {
  const key = requestedKey(withFields<PodCertificateRequest>(request, 'metadata', 'spec'));
  if (key.type === 'unusable') {
    throw new Error(key.message);
  }
  return key.publicKey;
}

interface NamesSigner {
  readonly spec: { readonly signerName: string; readonly podUID: string };
}
interface NamesIssuer {
  readonly spec: { readonly issuerRef: { readonly name: string } };
}

export const requestForms: Readonly<Record<CertificateApi, RequestForm>> = {
  podCertificateRequest: {
    storedAs: 'podcertificaterequests.certificates.k8s.io',
    domain: 'pcr.example.com',
    signerOf: (request) => lastPart(withFields<NamesSigner>(request, 'spec').spec.signerName),
    podOf: (request) => withFields<NamesSigner>(request, 'spec').spec.podUID,
    keyOf: keyInRequest,
    isAnswered: (request) => has(request, 'Issued', 'Denied', 'Failed'),
    issued: (certificateChain, { notBefore, notAfter, beginRefreshAt }) => ({
      conditions: [condition('Issued', 'Issued')],
      certificateChain,
      ...{ notBefore: timeText(notBefore), notAfter: timeText(notAfter), beginRefreshAt: timeText(beginRefreshAt) },
    }),
    denied: () => ({ conditions: [condition('Denied', 'Policy')] }),
    failed: () => ({ conditions: [condition('Failed', 'Hsm')] }),
  },
  certificateSigningRequest: {
    storedAs: 'certificatesigningrequests.certificates.k8s.io',
    domain: 'csr.example.com',
    signerOf: (request) => lastPart(withFields<NamesSigner>(request, 'spec').spec.signerName),
    podOf: ({ metadata }) => metadata.labels?.[podLabel] ?? '',
    keyOf: keyInPem,
    isAnswered: (request) => has(request, 'Denied', 'Failed') || statusOf(request).certificate !== undefined,
    issued: (chain) => ({ conditions: [condition('Approved', 'Approved')], certificate: base64(chain) }),
    denied: () => ({ conditions: [condition('Denied', 'Policy')] }),
    failed: () => ({ conditions: [condition('Approved', 'Approved'), condition('Failed', 'Hsm')] }),
  },
  certManager: {
    storedAs: 'certificaterequests.cert-manager.io',
    domain: 'cm.example.com',
    signerOf: (request) => withFields<NamesIssuer>(request, 'spec').spec.issuerRef.name,
    podOf: ({ metadata }) => metadata.labels?.[podLabel] ?? '',
    keyOf: keyInPem,
    isAnswered: (request) => has(request, 'Denied', 'Ready'),
    issued: (chain) => ({
      conditions: [condition('Approved', 'Approved'), condition('Ready', 'Issued')],
      certificate: base64(chain),
    }),
    denied: () => ({ conditions: [condition('Denied', 'Policy'), condition('Ready', 'Denied', 'False')] }),
    failed: () => ({ conditions: [condition('Approved', 'Approved'), condition('Ready', 'Failed', 'False')] }),
  },
};

/** A time as Kubernetes writes it. */
function timeText(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}

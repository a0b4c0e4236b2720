/** The files of agent/issuance/ that make requests, follow them and check what comes back, each with the tests that hold it. */
import { join } from 'node:path';
import type { Part } from './part.ts';

/** In the order in which they are tried: what is pure first. */
const testsOf: Readonly<Record<string, readonly string[]>> = {
  path: ['path', 'chain'],
  chain: ['chain', 'path'],
  'pod-certificate-request': ['pod-certificate-request', 'request-refusals'],
  claims: ['claims'],
  'contents-request': ['request-kinds', 'contents-issuer', 'contents-following', 'contents-request', 'pod-account'],
  following: ['following', 'contents-following', 'pod-certificate-request'],
  'certificate-signing-request': ['request-kinds', 'contents-request'],
  'cert-manager': ['request-kinds', 'contents-request'],
  'by-rule': ['by-rule', 'contents-request'],
  'request-body': ['pod-certificate-request'],
  'request-calls': ['request-refusals', 'contents-issuer'],
  'certification-request': ['certification-request'],
  'pod-account': ['pod-account', 'requested-tokens', 'handed-tokens'],
  capabilities: ['by-rule', 'contents-request', '../../docs/issuers'],
  'hurdle-events': ['hurdle-events'],
  leftovers: ['leftovers'],
};

export const requests: readonly Part[] = Object.entries(testsOf).map(([name, tests]) => ({
  file: `agent/issuance/${name}.ts`,
  tests: tests.map((test) => join('test/agent/issuance', `${test}.test.ts`)),
}));

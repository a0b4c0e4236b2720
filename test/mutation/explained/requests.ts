/** What survives where agent/issuance/ makes requests and follows them, each with its reason. */
import type { Explanation } from './explanation.ts';

const contents = 'agent/issuance/contents-request.ts';
const certManager = 'agent/issuance/cert-manager.ts';
const body = 'agent/issuance/request-body.ts';

const noKey = 'neither holds a key; what is compared with it is ours';

export const requests: readonly Explanation[] = [
  {
    file: contents,
    text: "''",
    instead: '"Stryker was here!"',
    on: "const known = refreshAfter.get(kind.key(request.metadata.namespace ?? '', request.metadata.name));",
    why: 'a request without a namespace is cluster-scoped, and known by its name alone; only the type checker has to be told',
  },
  {
    file: contents,
    text: "''",
    instead: '"Stryker was here!"',
    on: "const [, body = ''] = Buffer.from(spec.request, 'base64')",
    why: noKey,
  },
  {
    file: contents,
    text: '[]',
    instead: '["Stryker was here"]',
    on: '.match(/.{1,64}/g) ?? [];',
    why: 'a signed request has bytes, so there is a line; only the type checker has to be told',
  },
  {
    file: certManager,
    text: 'status?.certificate',
    instead: 'status.certificate',
    why: 'there is a condition, so there is the status that it stands in; only the type checker has to be told',
  },
  {
    file: certManager,
    text: "''",
    instead: '"Stryker was here!"',
    on: "hurdle({ metadata: { namespace = '', name }, spec: { issuerRef }, status }): Hurdle {",
    why: 'CertificateRequests are namespaced; only the type checker has to be told',
  },
  {
    file: body,
    text: 'default: return unreachable(api.evidence);',
    instead: 'default:',
    why: 'both kinds of evidence stand above it; only the type checker has to be told',
  },
  {
    file: 'agent/issuance/leftovers.ts',
    text: '[]',
    instead: '["Stryker was here"]',
    why: 'the first entry is not looked at',
  },
  { file: body, text: "''", instead: '"Stryker was here!"', why: noKey },
];

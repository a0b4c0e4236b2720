/**
 * The types of cert-manager.io/v1 that matter to a workload's certificate: requests, and the issuers that they name.
 *
 * https://cert-manager.io/docs/reference/api-docs/
 */
import { any, bool, bytes, kindOf, list, map, type StructSchema, struct, text, time } from './schema.ts';

const group = 'io.cert-manager.v1';

const issuerReference = struct(
  `${group}.IssuerReference`,
  'The issuer that is asked.',
  {
    name: text('Name of the issuer.'),
    kind: text('Issuer (the default) or ClusterIssuer, or a kind of another group.'),
    group: text('Group of the kind; cert-manager.io where it is absent.'),
  },
  ['name'],
);

const condition = (name: string): StructSchema =>
  struct(
    `${group}.${name}`,
    'One aspect of the state of an object.',
    {
      type: text('Type of the condition.'),
      status: text('True, False or Unknown.'),
      reason: text('One word for the reason.'),
      message: text('Details for people.'),
      lastTransitionTime: time('When the status last changed.'),
    },
    ['type', 'status'],
  );

export const certificateRequest: StructSchema = kindOf(
  `${group}.CertificateRequest`,
  'A request for one certificate, approved or denied by an approver and answered once by an issuer.',
  {
    spec: struct(
      `${group}.CertificateRequestSpec`,
      'What is asked for, and by whom. All fields are immutable.',
      {
        request: bytes('A PKCS#10 request in PEM.'),
        issuerRef: issuerReference,
        duration: text('Wished-for lifetime, as Go writes durations; the issuer may choose another.'),
        isCA: bool('Whether a certificate of an authority is asked for.'),
        usages: list(text(), 'Key usages; digital signature and key encipherment where it is absent.'),
        username: text('Who made the request; set by the webhook.'),
        uid: text('Set by the webhook.'),
        groups: list(text(), 'Set by the webhook.'),
        extra: map(list(text()), 'Set by the webhook.'),
      },
      ['request', 'issuerRef'],
    ),
    status: struct(`${group}.CertificateRequestStatus`, 'The answer.', {
      conditions: list(condition('CertificateRequestCondition'), 'At most one of each type.'),
      certificate: bytes('The certificates in PEM, leaf first.'),
      ca: bytes('The authority behind them in PEM, where the issuer knows it.'),
      failureTime: time('When the request failed or was denied.'),
    }),
  },
  ['spec'],
);

/** Issuers are told apart by what they are made of, which the sandbox stores without looking at it. */
export const issuer = (kind: 'Issuer' | 'ClusterIssuer'): StructSchema =>
  kindOf(
    `${group}.${kind}`,
    'Somebody who issues certificates.',
    {
      spec: any('How it issues: one of acme, ca, selfSigned, vault, venafi.'),
      status: struct(`${group}.${kind}Status`, 'Whether it can issue.', {
        conditions: list(condition(`${kind}Condition`), 'Ready, above all.'),
      }),
    },
    ['spec'],
  );

/**
 * Error replies: metav1.Status objects, worded and shaped as the real API server's.
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
 */
import type { JsonObject } from './objects.ts';

export { messageOf } from '../../volumes/base/errors.ts';

/** What is wrong with one field, as a cause of an `Invalid` reply. */
export interface FieldError {
  readonly reason:
    | 'FieldValueRequired'
    | 'FieldValueInvalid'
    | 'FieldValueNotSupported'
    | 'FieldValueForbidden'
    | 'FieldValueTooLong'
    | 'FieldValueDuplicate'
    | 'FieldValueTypeInvalid'
    | 'FieldValueNotFound'
    | 'FieldValueTooMany';
  /** JSON path: `spec.signerName`, `status.conditions[0].type`. */
  readonly field: string;
  /** What follows `<field>: ` in the whole message: `Invalid value: 5: must be larger`. */
  readonly message: string;
}

/** A value as error messages show it: strings quoted, everything else as JSON. */
function shown(value: unknown): string {
  return value === undefined ? 'null' : JSON.stringify(value);
}

/** The faults a field can have, in the real server's words. `detail` may be empty. */
export const fieldError = {
  required: (field: string, detail: string): FieldError => ({
    reason: 'FieldValueRequired',
    field,
    message: joined('Required value', detail),
  }),
  invalid: (field: string, value: unknown, detail: string): FieldError => ({
    reason: 'FieldValueInvalid',
    field,
    message: joined(`Invalid value: ${shown(value)}`, detail),
  }),
  notSupported: (field: string, value: unknown, supported: readonly string[]): FieldError => ({
    reason: 'FieldValueNotSupported',
    field,
    message: joined(
      `Unsupported value: ${shown(value)}`,
      supported.length === 0 ? '' : `supported values: ${supported.map(shown).join(', ')}`,
    ),
  }),
  forbidden: (field: string, detail: string): FieldError => ({
    reason: 'FieldValueForbidden',
    field,
    message: joined('Forbidden', detail),
  }),
  /** @param limit the most that is allowed, in `unit` */
  tooLong: (field: string, limit: number, unit: 'bytes' | 'characters' = 'bytes'): FieldError => ({
    reason: 'FieldValueTooLong',
    field,
    message: `Too long: may not be more than ${limit} ${unit}`,
  }),
  tooMany: (field: string, actual: number, limit: number): FieldError => ({
    reason: 'FieldValueTooMany',
    field,
    message: `Too many: ${actual}: must have at most ${limit} items`,
  }),
  duplicate: (field: string, value: unknown): FieldError => ({
    reason: 'FieldValueDuplicate',
    field,
    message: `Duplicate value: ${shown(value)}`,
  }),
};

function joined(head: string, detail: string): string {
  return detail === '' ? head : `${head}: ${detail}`;
}

/** metav1.StatusDetails. */
export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly { readonly reason?: string; readonly message?: string; readonly field?: string }[];
  readonly retryAfterSeconds?: number;
}

/** An error reply on its way out. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: number;
  /** Empty for a failure that the real server gives no reason for. */
  readonly reason: string;
  readonly details: StatusDetails | undefined;
  /** metav1.ListMeta of the reply, where a list's failure says how to go on. */
  listMetadata: JsonObject = {};

  constructor(code: number, reason: string, message: string, details?: StatusDetails) {
    super(message);
    this.code = code;
    this.reason = reason;
    this.details = details;
  }
}

/** The resource an error speaks of. `group` is empty for the core group. */
export interface ErrorSubject {
  readonly group: string;
  /** Plural, lower case: `pods`. `Invalid` replies name the kind instead. */
  readonly resource: string;
}

function qualified(subject: ErrorSubject): string {
  return subject.group === '' ? subject.resource : `${subject.resource}.${subject.group}`;
}

function details(subject: ErrorSubject, name: string, more: StatusDetails = {}): StatusDetails {
  return {
    ...(name === '' ? {} : { name }),
    ...(subject.group === '' ? {} : { group: subject.group }),
    ...(subject.resource === '' ? {} : { kind: subject.resource }),
    ...more,
  };
}

export function badRequest(message: string): ApiError {
  return new ApiError(400, 'BadRequest', message);
}

/** The refusal of an admission webhook, as cert-manager's words it: with the code of a missing permission. */
export function refusedByWebhook(webhook: string, why: readonly string[]): ApiError {
  const sentences = [...new Set(why)];
  return new ApiError(
    403,
    'Forbidden',
    deniedBy(webhook, sentences.length === 1 ? why.join() : `[${sentences.join(', ')}]`),
  );
}

/** What an admission webhook answers when it cannot read the object. */
export function unreadByWebhook(webhook: string, why: string): ApiError {
  return new ApiError(400, '', deniedBy(webhook, why));
}

function deniedBy(webhook: string, why: string): string {
  return `admission webhook ${JSON.stringify(webhook)} denied the request: ${why}`;
}

export function unauthorized(): ApiError {
  return new ApiError(401, 'Unauthorized', 'Unauthorized');
}

/** @param why the whole explanation: it follows `pods "x" is forbidden: ` */
export function forbidden(subject: ErrorSubject, name: string, why: string): ApiError {
  const head = name === '' ? qualified(subject) : `${qualified(subject)} ${JSON.stringify(name)}`;
  const message = subject.resource === '' ? `forbidden: ${why}` : `${head} is forbidden: ${why}`;
  return new ApiError(403, 'Forbidden', message, details(subject, name));
}

export function notFound(subject: ErrorSubject, name: string): ApiError {
  return new ApiError(
    404,
    'NotFound',
    `${qualified(subject)} ${JSON.stringify(name)} not found`,
    details(subject, name),
  );
}

/** A path that nothing serves. */
export function noSuchPath(): ApiError {
  return new ApiError(404, 'NotFound', 'the server could not find the requested resource', {});
}

export function methodNotAllowed(): ApiError {
  return new ApiError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', {});
}

export function alreadyExists(subject: ErrorSubject, name: string): ApiError {
  return new ApiError(
    409,
    'AlreadyExists',
    `${qualified(subject)} ${JSON.stringify(name)} already exists`,
    details(subject, name),
  );
}

export function conflict(subject: ErrorSubject, name: string, why: string): ApiError {
  return new ApiError(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${qualified(subject)} ${JSON.stringify(name)}: ${why}`,
    details(subject, name),
  );
}

/** An update on top of something other than the newest version. */
export function staleUpdate(subject: ErrorSubject, name: string): ApiError {
  return conflict(
    subject,
    name,
    'the object has been modified; please apply your changes to the latest version and try again',
  );
}

export function expired(message: string): ApiError {
  return new ApiError(410, 'Expired', message);
}

export function unsupportedMediaType(message: string): ApiError {
  return new ApiError(415, 'UnsupportedMediaType', message);
}

/** @param subject with the kind in place of the resource: `{ group: 'certificates.k8s.io', resource: 'PodCertificateRequest' }` */
export function invalid(subject: ErrorSubject, name: string, errors: readonly FieldError[]): ApiError {
  const sentences = [...new Set(errors.map((error) => `${error.field}: ${error.message}`))];
  const [first = ''] = sentences;
  const listed = sentences.length === 1 ? first : `[${sentences.join(', ')}]`;
  return new ApiError(
    422,
    'Invalid',
    `${qualified(subject)} ${JSON.stringify(name)} is invalid: ${listed}`,
    details(subject, name, {
      causes: errors.map((error) => ({ reason: error.reason, message: error.message, field: error.field })),
    }),
  );
}

export function internalError(message: string): ApiError {
  return new ApiError(500, 'InternalError', `Internal error occurred: ${message}`, { causes: [{ message }] });
}

/** The error as the body of a reply. */
export function statusBody(error: ApiError): JsonObject {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: error.listMetadata,
    status: 'Failure',
    message: error.message,
    ...(error.reason === '' ? {} : { reason: error.reason }),
    ...(error.details === undefined ? {} : { details: structuredClone(error.details) as JsonObject }),
    code: error.code,
  };
}

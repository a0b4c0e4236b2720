/**
 * The body of a request: JSON or YAML, checked against the schema of the type it should be.
 */
import { parse } from 'yaml';
import { badRequest, fieldError, invalid, messageOf, unsupportedMediaType } from '../base/errors.ts';
import { isObject, type Json, type JsonObject } from '../base/objects.ts';
import type { Query } from './api.ts';
import { DecodeError, decode } from './decode.ts';
import { parseProtobuf, protobufMediaType } from './protobuf.ts';
import { groupVersion } from './resource-type.ts';
import type { StructSchema } from './schemas/schema.ts';

export interface Body {
  readonly bytes: Buffer;
  /** Media type without parameters, in lower case; empty when the request names none. */
  readonly mediaType: string;
}

/** The type that a body should hold. */
export interface Expected {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly schema: StructSchema;
}

export interface DecodedBody {
  readonly object: JsonObject;
  /** For the client to see in `Warning` headers. */
  readonly warnings: readonly string[];
}

const readable = ['application/json', 'application/yaml', protobufMediaType];
const fieldValidations = ['', 'Ignore', 'Strict', 'Warn'];

/** @param kind what the body should hold, for the message @throws ApiError 400 or 415 */
export function parseBody(body: Body, kind: string): Json {
  if (body.mediaType !== '' && !readable.includes(body.mediaType)) {
    throw unsupportedMediaType(
      `the body of the request was in an unknown format - accepted media types include: ${readable.join(', ')}`,
    );
  }
  if (body.mediaType === protobufMediaType) {
    return parseProtobuf(body.bytes);
  }
  try {
    const text = body.bytes.toString('utf8');
    return (body.mediaType === 'application/yaml' ? parse(text) : JSON.parse(text)) as Json;
  } catch (error) {
    const why = messageOf(error);
    throw badRequest(
      `the object provided is unrecognized (must be of type ${kind}): couldn't get version/kind; json parse error: ${why}`,
    );
  }
}

/** @throws ApiError 400: another kind, wrong types, or unknown fields where `fieldValidation=Strict` is asked for */
export function decodeBody(body: Json, expected: Expected, query: Query): DecodedBody {
  checkFieldValidation(query);
  const { kind, version, group, schema } = expected;
  const given = isObject(body) ? body : {};
  const givenKind = given.kind === undefined || given.kind === '' ? kind : String(given.kind);
  const apiVersion = groupVersion(group, version);
  if (given.apiVersion !== undefined && given.apiVersion !== '' && given.apiVersion !== apiVersion) {
    throw badRequest(
      `the API version in the data (${String(given.apiVersion)}) does not match the expected API version (${apiVersion})`,
    );
  }
  const cannot = `${givenKind} in version ${JSON.stringify(version)} cannot be handled as a ${kind}`;
  if (givenKind !== kind) {
    throw badRequest(cannot);
  }
  try {
    const { object, unknownFields } = decode(schema, body);
    const complaints = unknownFields.map((field) => `unknown field ${JSON.stringify(field)}`);
    const mode = query.get('fieldValidation') || 'Warn';
    if (mode === 'Strict' && complaints.length > 0) {
      throw badRequest(`${cannot}: strict decoding error: ${complaints.join(', ')}`);
    }
    return { object, warnings: mode === 'Ignore' ? [] : complaints };
  } catch (error) {
    throw error instanceof DecodeError ? badRequest(`${cannot}: ${error.message}`) : error;
  }
}

/** @throws ApiError 422 */
function checkFieldValidation(query: Query): void {
  const mode = query.get('fieldValidation') ?? '';
  if (!fieldValidations.includes(mode)) {
    throw invalid({ group: 'meta.k8s.io', resource: 'CreateOptions' }, '', [
      fieldError.notSupported('fieldValidation', mode, fieldValidations),
    ]);
  }
}

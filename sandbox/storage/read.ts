/**
 * Lists: whole, in pages of one consistent state, or at a named revision.
 *
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
 */

import { ApiError, badRequest, expired, fieldError, invalid, messageOf } from '../base/errors.ts';
import { type ApiObject, isObject } from '../base/objects.ts';
import { type Api, type Query, storedAs, type Target } from './api.ts';
import type { Selection } from './selection.ts';
import { keyOf } from './store.ts';

export interface Page {
  /** In the stored form. */
  readonly items: readonly ApiObject[];
  readonly resourceVersion: string;
  /** Token for the next page; absent on the last. */
  readonly continue?: string;
  /** How many more there are, where no selector makes that unknowable. */
  readonly remainingItemCount?: number;
}

/** Where the next page begins: after a key, in the state of a revision. */
interface ContinueToken {
  /** -1: in whatever state is there now. */
  readonly revision: number;
  readonly after: string;
}

function encodeToken(token: ContinueToken): string {
  return Buffer.from(JSON.stringify({ v: 'sandbox/v1', rv: token.revision, start: token.after })).toString('base64url');
}

function decodeToken(text: string): ContinueToken {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    if (
      isObject(parsed) &&
      parsed.v === 'sandbox/v1' &&
      typeof parsed.rv === 'number' &&
      typeof parsed.start === 'string'
    ) {
      return { revision: parsed.rv, after: parsed.start };
    }
  } catch {
    // Falls through to the one refusal of whatever is not such a token.
  }
  throw badRequest('invalid continue token: continue key is not valid: it was not made by this server');
}

/** @throws ApiError 400, 410, 504 */
export function listPage(api: Api, target: Target, selection: Selection, query: Query): Page {
  // Any state will do: the real server answers from its cache then, which does not page.
  const isAnyState = query.get('resourceVersion') === '0' && !query.get('continue');
  const limit = isAnyState ? 0 : Number(query.get('limit') ?? '0');
  if (!Number.isInteger(limit) || limit < 0) {
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(query.get('limit'))}: invalid syntax`);
  }
  const token = query.get('continue') ? decodeToken(query.get('continue') ?? '') : undefined;
  if (token !== undefined && query.get('resourceVersion')) {
    throw badRequest('specifying resource version is not allowed when using continue');
  }
  const revision = token === undefined ? listRevision(api, query) : token.revision;
  const at = revision < 0 ? api.store.revision() : revision;
  const all = api.store.listAt(storedAs(target), selection.namespace, at);
  if (all === undefined) {
    throw token === undefined ? expired('The resourceVersion for the provided list is too old.') : expiredToken(token);
  }
  const left = all.filter(
    (object) => (token === undefined || keyOf(object) > token.after) && selection.matches(object),
  );
  const items = limit === 0 ? left : left.slice(0, limit);
  const last = items.at(-1);
  const isSelective = Boolean(query.get('labelSelector') || query.get('fieldSelector'));
  const remaining = left.length - items.length;
  return {
    items,
    resourceVersion: String(at),
    ...(remaining === 0 || last === undefined ? {} : { continue: encodeToken({ revision: at, after: keyOf(last) }) }),
    ...(remaining === 0 || isSelective ? {} : { remainingItemCount: remaining }),
  };
}

/** The state that a list without a token is to show. */
function listRevision(api: Api, query: Query): number {
  const match = query.get('resourceVersionMatch') ?? '';
  const given = query.get('resourceVersion') ?? '';
  const refused = (why: string): ApiError =>
    invalid({ group: 'meta.k8s.io', resource: 'ListOptions' }, '', [fieldError.forbidden('resourceVersionMatch', why)]);
  if (match !== '' && given === '') {
    throw refused('resourceVersionMatch is forbidden unless resourceVersion is provided');
  }
  if (match === 'Exact' && given === '0') {
    throw refused('resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
  }
  const revision = revisionForList(given);
  const isExact = match === 'Exact' || (match === '' && revision > 0 && Number(query.get('limit') ?? '0') > 0);
  if (revision > api.store.revision()) {
    throw tooLargeRevision(revision, api.store.revision());
  }
  return isExact ? revision : api.store.revision();
}

/** @throws RangeError with the wording of both the list's and the watch's refusal */
export function parseRevision(text: string): number {
  if (!/^\d*$/.test(text)) {
    const shown = JSON.stringify(text);
    throw new RangeError(
      `resourceVersion: Invalid value: ${shown}: strconv.ParseUint: parsing ${shown}: invalid syntax`,
    );
  }
  return Number(text);
}

function revisionForList(text: string): number {
  try {
    return parseRevision(text);
  } catch (error) {
    throw badRequest(`invalid resource version: ${messageOf(error)}`);
  }
}

/** A client that has seen a newer state than this server has: it should come back in a moment. */
export function tooLargeRevision(revision: number, current: number): ApiError {
  return new ApiError(504, 'Timeout', `Timeout: Too large resource version: ${revision}, current: ${current}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  });
}

/** The reply to a page token whose state is forgotten. It offers a token to go on with, at the price of consistency. */
function expiredToken(token: ContinueToken): ApiError {
  const error = expired(
    'The provided continue parameter is too old to display a consistent list result. You can start a new list without ' +
      'the continue parameter, or use the continue token in this response to retrieve the remainder of the results. ' +
      'Continuing with the provided token results in an inconsistent list - objects that were created, modified, or ' +
      'deleted between the time the first chunk was returned and now may show up in the list.',
  );
  error.listMetadata = { continue: encodeToken({ revision: -1, after: token.after }) };
  return error;
}

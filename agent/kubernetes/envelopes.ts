/** Reads what the API server puts around objects: errors, pages of lists, and the events of watches. */
import * as v from 'valibot';
import {
  type Decoder,
  decoder,
  fields,
  firstFault,
  ifReadable,
  integer,
  maybeText,
  membersAlone,
  membersOf,
  readableItems,
  shapeOf,
  text,
} from './decoding.ts';
import type { Shape } from './json-sieve.ts';
import { keyOf, type Status } from './objects.ts';

/** Causes that are read of an error: a handful says all that a person or the agent can do something about. */
const mostCauses = 32;

const cause = fields({ reason: ifReadable(text), message: ifReadable(text), field: ifReadable(text) });

const status = fields({
  kind: v.literal('Status'),
  status: ifReadable(text),
  message: ifReadable(text),
  reason: ifReadable(text),
  code: ifReadable(integer),
  details: ifReadable(
    fields({
      name: ifReadable(text),
      kind: ifReadable(text),
      retryAfterSeconds: ifReadable(integer),
      causes: ifReadable(readableItems(cause, mostCauses)),
    }),
  ),
});

/**
 * A page of a list; its items are read one by one, so that one that is unreadable does not hide the others. A token for the next page
 * that cannot be read is no last page: what is not in a list counts as deleted.
 */
const page = fields({
  kind: ifReadable(text),
  metadata: v.exactOptional(fields({ resourceVersion: ifReadable(text), continue: maybeText })),
  items: v.exactOptional(v.array(v.unknown())),
});

/** @param decode of the items: what it does not read is not kept of them */
export function pageDecoder(decode: Decoder<unknown>) {
  const items: Shape = { items: decode.shape ?? 'all', apart: true };
  return decoder('list', page, { members: new Map([...membersOf(page), ['items', items]]) });
}

/** @param decode of the objects */
export function frameShape({ shape }: Decoder<unknown>): Shape {
  if (shape === undefined || shape === 'all' || !('members' in shape)) {
    return 'all';
  }
  // The object of an error is a Status, and that of a bookmark has its metadata only.
  const object: Shape = { members: new Map([...membersOf(status), ...membersOf(outline), ...shape.members]) };
  return membersAlone({ type: 'all', object });
}

const events = ['ADDED', 'MODIFIED', 'DELETED'] as const;

/**
 * The frame of a watch around an object. https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/watch-event/
 * An event of a type that was not known when this was written says nothing here, and ends no watch.
 */
export const decodeWatchEvent = decoder(
  'watch event',
  v.union([
    v.variant('type', [
      v.object({ type: v.picklist(events), object: v.unknown() }),
      v.object({
        type: v.literal('BOOKMARK'),
        object: fields({ metadata: fields({ resourceVersion: ifReadable(text) }) }),
      }),
      v.object({ type: v.literal('ERROR'), object: v.unknown() }),
    ]),
    v.pipe(
      v.object({ type: v.pipe(text, v.notValues([...events, 'BOOKMARK', 'ERROR'])) }),
      v.transform(() => ({ type: 'OTHER' as const })),
    ),
  ]),
);

const outline = fields({
  metadata: fields({ name: ifReadable(text), namespace: maybeText, resourceVersion: ifReadable(text) }),
});

/** What can be said of an object that is unreadable otherwise: its key, and the version at which it was sent. */
export function outlineOf(value: unknown): { readonly key?: string; readonly resourceVersion?: string } {
  const result = v.safeParse(outline, value, firstFault);
  if (!result.success) {
    return {};
  }
  const { name, namespace, resourceVersion } = result.output.metadata;
  return {
    ...(name === undefined ? {} : { key: keyOf({ metadata: { name, ...(namespace && { namespace }) } }) }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
}

export const statusShape: Shape = shapeOf(status);

/** A metav1.Status; undefined for anything else. */
export function readStatus(value: unknown): Status | undefined {
  const result = v.safeParse(status, value, firstFault);
  return result.success ? result.output : undefined;
}

/**
 * What others have said about an object, in their events: read once, when somebody asks. Anybody who may write events in the
 * namespace may have written them, so they are words to quote and nothing to act upon.
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
 */
import { cut } from '../base/cut.ts';
import { AgentError } from '../base/errors.ts';
import type { ApiClient } from './client.ts';
import { pageDecoder } from './envelopes.ts';
import type { ObjectMeta } from './objects.ts';
import { corePrefix, resourcePath } from './paths.ts';
import { decodeEvent } from './schemas.ts';

/** Events of one object that are read; cert-manager writes one for each thing that a request waits for. */
const mostEvents = 20;
const mostQuoted = 3;
const longestMessage = 300;

/**
 * The newest events about an object, each reason once, newest first; undefined when there is none that can be read.
 * @param object as the API server holds it, of a namespace @throws AgentError
 */
export async function saidInEvents(
  client: Pick<ApiClient, 'request'>,
  { namespace = '', uid }: ObjectMeta,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (uid === undefined) {
    return undefined;
  }
  const events: EventWords[] = [];
  let seen = 0;
  await client.request({
    method: 'GET',
    path: resourcePath(corePrefix, { namespace, resource: 'events' }),
    query: { fieldSelector: `involvedObject.uid=${uid}`, limit: String(mostEvents) },
    signal,
    decode: pageDecoder(decodeEvent),
    onItem(item) {
      seen += 1;
      if (seen <= mostEvents) {
        events.push(...readable(item));
      }
    },
  });
  const newestByReason = new Map<string, string>();
  for (const { reason, message } of events.toSorted((one, other) => other.at - one.at)) {
    if (newestByReason.size < mostQuoted && !newestByReason.has(reason)) {
      newestByReason.set(reason, message);
    }
  }
  const quoted = [...newestByReason].map(([reason, message]) => `${reason}: ${message}`);
  return quoted.length === 0 ? undefined : quoted.join('; ');
}

interface EventWords {
  readonly at: number;
  readonly reason: string;
  readonly message: string;
}

/** One that cannot be read says nothing, and hides no other. */
function readable(item: unknown): EventWords[] {
  try {
    const { metadata, reason = '', message = '', lastTimestamp, eventTime } = decodeEvent(item);
    const at = Date.parse(lastTimestamp ?? eventTime ?? metadata.creationTimestamp ?? '');
    return [
      { at: Number.isNaN(at) ? 0 : at, reason: cut(reason, longestMessage), message: cut(message, longestMessage) },
    ];
  } catch (error) {
    if (error instanceof AgentError) {
      return [];
    }
    throw error;
  }
}

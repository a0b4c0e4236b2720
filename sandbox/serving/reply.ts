/**
 * The reply to a request, before it is written to the connection.
 */

import type { ApiObject, JsonObject } from '../base/objects.ts';
import type { Target } from '../storage/api.ts';
import type { WatchSink } from '../storage/watch.ts';

export type Reply =
  /** A body as it is. */
  | {
      readonly kind: 'json';
      readonly code: number;
      readonly body: JsonObject;
      readonly warnings?: readonly string[];
      /** Media type when it is not plain JSON. */
      readonly contentType?: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'text'; readonly code: number; readonly text: string }
  /** One stored object, in the form the client asked for. */
  | {
      readonly kind: 'object';
      readonly code: number;
      readonly target: Target;
      readonly object: ApiObject;
      readonly warnings: readonly string[];
    }
  /** A list of stored objects, in the form the client asked for. */
  | {
      readonly kind: 'list';
      readonly target: Target;
      readonly items: readonly ApiObject[];
      readonly metadata: JsonObject;
      readonly warnings?: readonly string[];
    }
  /** Events about stored objects, until the client goes or the server ends it. */
  | {
      readonly kind: 'watch';
      readonly target: Target;
      readonly warnings?: readonly string[];
      start(sink: WatchSink): () => void;
    };

/**
 * Objects that are read and written back: all of their fields stay, those that the signer does not know too, because a PUT without them
 * would take them away.
 */
import * as v from 'valibot';
import { AgentError } from '../../agent/base/errors.ts';
import {
  bareMetadata,
  type Decoder,
  fields,
  ifReadable,
  readableItems,
  text,
} from '../../agent/kubernetes/decoding.ts';

const conditions = ifReadable(readableItems(fields({ type: text, status: text })));

/** What is read of a request that waits for its turn: which one it is, and how far it has been answered. */
export const outlined = {
  metadata: fields(bareMetadata),
  status: ifReadable(fields({ conditions, certificate: ifReadable(text) })),
} as const;

/** Reads an object by a schema that lets unknown fields through. Nothing of it is quoted: it may be a Secret. */
export function rawObject<const S extends v.GenericSchema>(kind: string, schema: S): Decoder<v.InferOutput<S>> {
  return (value) => {
    const result = v.safeParse(schema, value);
    if (result.success) {
      return result.output;
    }
    throw new AgentError('Unavailable', `a ${kind} of the API server cannot be read`, { actor: 'nobody' });
  };
}

/** Nothing for an object that does not exist. */
export function whenFound(error: unknown): undefined {
  if (error instanceof AgentError && error.code === 'NotFound') {
    return undefined;
  }
  throw error;
}

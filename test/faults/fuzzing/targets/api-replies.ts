/** Bodies of replies and frames of watches, from the API server or from whatever stands before it. */
import assert from 'node:assert/strict';
import { AgentError } from '../../../../agent/base/errors.ts';
import { outcomeOf } from '../../../../agent/issuance/outcome.ts';
import type { Decoder } from '../../../../agent/kubernetes/decoding.ts';
import {
  decodeWatchEvent,
  frameShape,
  outlineOf,
  pageDecoder,
  readStatus,
  statusShape,
} from '../../../../agent/kubernetes/envelopes.ts';
import { replyError } from '../../../../agent/kubernetes/failure.ts';
import { createSieve, type Shape } from '../../../../agent/kubernetes/json-sieve.ts';
import {
  decodeCertificateRequest,
  decodeCertificateSigningRequest,
  decodeNodeRequest,
  decodePodCertificateRequest,
} from '../../../../agent/kubernetes/request-schemas.ts';
import {
  decodeClusterTrustBundle,
  decodeObject,
  decodePod,
  decodePodVolumes,
  decodeResourceList,
  decodeSubjectAccessReview,
  decodeTokenRequest,
  decodeTokenReview,
  decodeVersion,
} from '../../../../agent/kubernetes/schemas.ts';
import type { FuzzTarget } from '../target.ts';

const mostBytes = 8_192;
const objectDecoders: readonly Decoder<unknown>[] = [
  ...[decodePodCertificateRequest, decodeNodeRequest, decodeCertificateSigningRequest, decodeCertificateRequest],
  ...[decodeClusterTrustBundle, decodePod, decodePodVolumes, decodeObject],
];
const replyDecoders: readonly Decoder<unknown>[] = [
  ...objectDecoders,
  ...[decodeTokenReview, decodeSubjectAccessReview, decodeTokenRequest, decodeResourceList, decodeVersion],
  pageDecoder(decodePodCertificateRequest),
];
const call = { verb: 'get', resource: 'pods "web"', kind: 'pods', who: 'the agent' };

export const apiReplies: FuzzTarget = {
  words: [
    ...[
      '{"type":"ADDED","object":',
      '{"type":"MODIFIED","object":',
      '{"type":"DELETED","object":',
      '{"type":"BOOKMARK","object":',
    ],
    ...[
      '{"type":"ERROR","object":',
      '"kind":"Status"',
      '"code":410',
      '"reason":"Expired"',
      '"metadata":',
      '"spec":',
      '"status":',
    ],
    ...[
      '"items":[',
      '"conditions":[',
      '"labels":{',
      '"ownerReferences":[',
      '"resourceVersion":"1"',
      '"continue":""',
      '"name":"a"',
    ],
    ...[
      'null',
      'true',
      'false',
      '0',
      '-1.5e9',
      '1e999',
      '""',
      '{}',
      '[]',
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '\\',
      '\\"',
      '\\u0000',
    ],
    ...[
      '\\ud800',
      '__proto__',
      '"constructor"',
      '"toString"',
      '\n',
      ' ',
      '\ufeff',
      '"retryAfterSeconds":86400',
      '"details":{',
    ],
  ],
  mostBytes,
  mostWorkPerByte: 4_000,
  run(input) {
    const bytes = Buffer.from(input);
    const whole = parsed(bytes);
    for (const decode of replyDecoders) {
      compare(bytes, decode.shape ?? 'all', decode, whole);
    }
    for (const decode of objectDecoders) {
      for (const frame of sift(bytes, frameShape(decode)).values) {
        readFrame(frame, decode);
      }
    }
    const error = replyError(call, 503, readStatus(sift(bytes, statusShape).values[0]) ?? bytes.toString('utf8'));
    assert.ok(error.message.length <= 4_096, `an error of ${error.message.length} characters`);
    assert.ok(error.retryAfterMs === undefined || error.retryAfterMs > 0, `a pause of ${error.retryAfterMs} ms`);
  },
};

/** What is read of a reply is the same whether it is sieved or parsed as a whole, and in whatever pieces it comes. */
function compare(bytes: Buffer, shape: Shape, decode: Decoder<unknown>, whole: Parsed): void {
  const atOnce = sift(bytes, shape);
  const inPieces = sift(bytes, shape, 1 + (bytes.length % 7));
  assert.deepEqual(inPieces, atOnce, 'what is read depends on the pieces in which it comes');
  if (!whole.ok || atOnce.fault !== undefined || atOnce.values.length !== 1) {
    assert.ok(!whole.ok || atOnce.fault !== undefined, 'JSON is not read as JSON');
    return;
  }
  const [value] = atOnce.values;
  if (atOnce.items.length === 0) {
    assert.deepEqual(decoded(decode, value), decoded(decode, whole.value), 'what is kept of it is not what it says');
  }
}

function readFrame(frame: unknown, decode: Decoder<unknown>): void {
  const event = decoded(decodeWatchEvent, frame);
  if (typeof event !== 'object' || event.type === 'OTHER') {
    return;
  }
  outlineOf(event.object);
  readStatus(event.object);
  const object = decoded(decode, event.object);
  if (decode === decodeNodeRequest && typeof object === 'object') {
    outcomeOf(decodeNodeRequest(event.object));
  }
}

type Parsed = { readonly ok: true; readonly value: unknown } | { readonly ok: false };

function parsed(bytes: Buffer): Parsed {
  try {
    return { ok: true, value: JSON.parse(bytes.toString('utf8')) };
  } catch {
    return { ok: false };
  }
}

function sift(bytes: Buffer, shape: Shape, pieceBytes = bytes.length) {
  const values: unknown[] = [];
  const items: unknown[] = [];
  const sieve = createSieve({
    ...{ shape, maxBytes: mostBytes },
    onValue: (value) => void values.push(value),
    onItem: (item) => void items.push(item),
  });
  let fault: string | undefined;
  try {
    for (let from = 0; from < bytes.length; from += pieceBytes) {
      const piece = bytes.subarray(from, from + pieceBytes);
      for (let taken = 0; taken < piece.length; ) {
        taken = sieve.take(piece, taken);
      }
    }
    sieve.end();
  } catch (error) {
    assert.ok(error instanceof SyntaxError || error instanceof RangeError, `no error of a reader: ${String(error)}`);
    fault = error.name;
  }
  return { values, items, fault };
}

/** The object, or what an unreadable one is called. */
function decoded<T>(decode: Decoder<T>, value: unknown): T | string {
  try {
    return decode(value);
  } catch (error) {
    assert.ok(error instanceof AgentError, `no error of a decoder: ${error instanceof Error ? error.stack : error}`);
    assert.ok(error.message.length < 1_000, `an error of ${error.message.length} characters`);
    return error.message;
  }
}

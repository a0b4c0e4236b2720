/** The state that a volume carries: of another version of the agent, of a machine that crashed, or tampered with. */
import assert from 'node:assert/strict';
import { parseMountTable } from '../../../../volumes/mounts/mount-table.ts';
import {
  decodeCurrent,
  decodeCurrentChain,
  decodePending,
  decodeRecord,
  decodeSetback,
  decodeTrust,
  encodeCurrent,
  encodePending,
  encodeRecord,
  encodeSetback,
} from '../../../../volumes/state/state-format.ts';
import type { FuzzTarget } from '../target.ts';

export const stateFiles: FuzzTarget = {
  words: [
    ...[
      '{"version":1,',
      '"record":{',
      '"pending":{',
      '"issued":{',
      '"setback":{',
      '"trust":{',
      '"mismatch":{',
      '"owner":{"kind":"none"}',
    ],
    ...[
      '"kind":"group","gid":',
      '"kind":"user","uid":',
      '"declaration":{"sources":[',
      '"certificates":["MAE="]',
      '"refreshAt":',
    ],
    ...[
      '"notAfter":',
      '"keyType":"RSA4096"',
      '"podIPs":[',
      '"anchors":[',
      '"publicKey":"',
      '"seLinuxContext":"',
      '"earlyRefreshes":',
    ],
    ...[
      '"isTold":true',
      '"failures":',
      '1e999',
      '-1',
      '0.5',
      'null',
      '{}',
      '[]',
      '""',
      '__proto__',
      '\\u0000',
      '\n',
      '..',
      '/',
    ],
  ],
  mostBytes: 8_192,
  mostWorkPerByte: 1_000,
  run(input) {
    const record = read(decodeRecord, input);
    if (record !== undefined) {
      assert.deepEqual(decodeRecord(encodeRecord(record)), record);
    }
    const pending = read(decodePending, input);
    if (pending !== undefined) {
      assert.deepEqual(decodePending(encodePending(pending)), pending);
    }
    const setback = read(decodeSetback, input);
    if (setback !== undefined) {
      assert.deepEqual(decodeSetback(encodeSetback(setback)), setback);
    }
    const certificate = read(decodeCurrent, input);
    const chain = read(decodeCurrentChain, input);
    const trust = read(decodeTrust, input);
    if (certificate !== undefined) {
      const stored = encodeCurrent({ certificate, chain, ...(trust === undefined ? {} : { trust }) });
      assert.deepEqual(
        [decodeCurrent(stored), decodeCurrentChain(stored), decodeTrust(stored)],
        [certificate, chain, trust],
      );
      assert.ok(Number.isFinite(certificate.refreshAt), 'a refresh that never comes');
    }
    for (const { id, parentId } of parseMountTable(Buffer.from(input).toString('utf8'))) {
      assert.ok(typeof id === 'number' && typeof parentId === 'number', 'a mount without a number');
    }
  },
};

/** What is refused is refused with the one error that its reader knows. */
function read<Content>(decode: (bytes: Uint8Array) => Content, input: Uint8Array): Content | undefined {
  try {
    return decode(input);
  } catch (refusal) {
    // V8's own are TypeErrors too: they say what cannot be done with a value.
    const isOwn = refusal instanceof TypeError && !/is not a function|not iterable|Cannot|null/.test(refusal.message);
    assert.ok(isOwn, `not a refusal: ${refusal instanceof Error ? refusal.stack : refusal}`);
    assert.ok(refusal.message.length < 1_000, `a refusal of ${refusal.message.length} characters`);
    return undefined;
  }
}

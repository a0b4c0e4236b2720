import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FuzzResult, fuzz } from './fuzzer.ts';
import type { FuzzTarget } from './target.ts';

/** Fails for texts that begin with two letters, found one after the other. */
function guarded(input: Uint8Array): void {
  const text = Buffer.from(input).toString('latin1');
  if (text.startsWith('k') && text.startsWith('ke')) {
    throw new Error('it is open');
  }
}

function hunt(run: FuzzTarget['run'], mutants: number, isGuided = true): FuzzResult {
  return fuzz(
    { words: [...'key'], mostBytes: 64, mostWorkPerByte: 1_000, run },
    {
      ...{ corpus: [Buffer.from('shut')], seed: 1, mutants, onInput: () => undefined },
      counts: (url) => isGuided && url === import.meta.url,
    },
  );
}

test('an input that leads to new code is kept and changed further, until it ends in an error', () => {
  const { findings, kept } = hunt(guarded, 400);
  assert.ok(
    kept.some((input) => /^k/.test(Buffer.from(input).toString('latin1'))),
    'the first letter was not kept',
  );
  assert.match(findings[0]?.why ?? '', /it is open/);
  assert.deepEqual(hunt(guarded, 100, false).kept, [], 'something is kept that leads nowhere new');
});

test('an input whose work grows faster than its length is found', () => {
  const { findings } = hunt((input) => {
    let sum = 0;
    for (const one of input) {
      for (let count = 0; count < one ** 2; count += 1) {
        sum += count;
      }
    }
    assert.ok(sum >= 0, 'it counts');
  }, 20);
  assert.match(findings[0]?.why ?? '', /far more work/);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTurnBudget, type TurnBudget } from '../../../agent/base/turn-budget.ts';
import { statusIn } from '../../../agent/kubernetes/status-text.ts';

const mebibyte = 1024 * 1024;
const longest = (start: string, part: string, end: string): string =>
  start + part.repeat(Math.floor((mebibyte - start.length - end.length) / part.length)) + end;

test('of the causes of an error a few are read, and any number of them takes no turn of its own', async () => {
  for (const [part, causes] of [
    ['{},', 0],
    ['{"field":"a","message":"b"},', 0],
    ['[[', 0],
  ] as const) {
    let pieces = 0;
    const budget: TurnBudget = (work) => {
      pieces += 1;
      while (work()) {
        pieces += 1;
      }
    };
    const text = longest('{"kind":"Status","message":"no","details":{"causes":[', part, '{}]}}');
    const status = await statusIn(text, budget);
    assert.ok(pieces > (part === '[[' ? 1 : mebibyte / (32 * 1024)), `${part} was read in ${pieces} pieces`);
    assert.equal(status?.details?.causes?.length ?? 0, causes);
  }
  const many = { kind: 'Status', details: { causes: Array.from({ length: 1_000 }, (_, i) => ({ field: `f${i}` })) } };
  const status = await statusIn(JSON.stringify(many), createTurnBudget());
  assert.deepEqual(status?.details?.causes?.[31], { field: 'f31' });
  assert.equal(status?.details?.causes?.length, 32);
});

test('what is no Status, or more than one, is a text like any other', async () => {
  const budget = createTurnBudget();
  for (const text of ['', 'Bad gateway', 'null', '[]', '{"kind":"Status"', '{"kind":"Pod"}', '{"kind":"Status"} {}']) {
    assert.equal(await statusIn(text, budget), undefined, text);
  }
  assert.deepEqual(await statusIn(' {"kind":"Status","more":[1],"code":404}\n', budget), { kind: 'Status', code: 404 });
});

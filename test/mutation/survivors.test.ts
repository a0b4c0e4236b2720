import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Change } from './changes.ts';
import { isWording } from './explained/wording.ts';
import { judge, table } from './survivors.ts';
import type { Result, Verdict } from './trial.ts';

const file = 'agent/some.ts';
const why = 'it makes no difference';

function result(verdict: Verdict, text: string, on = ''): Result {
  const change: Change = { id: '1', kind: 'ConditionalExpression', line: 1, on, text, instead: 'true' };
  return { change, verdict, message: '' };
}

test('what survives needs a reason of its own, for the line where the reason names one', () => {
  const results = [
    result('failed', 'a'),
    result('passed', 'b'),
    result('unreached', 'c'),
    result('passed', 'd', 'if (d) {'),
    result('passed', 'd', 'return d;'),
  ];
  const reasons = [
    { file, text: 'b', instead: 'true', why },
    { file, text: 'd', instead: 'true', on: 'if (d) {', why },
    { file: 'agent/other.ts', text: 'c', instead: 'true', why },
  ];
  const judged = judge(file, results, reasons, 1_000);
  assert.deepEqual(
    judged.unexplained.map(({ change }) => [change.text, change.on]),
    [
      ['c', ''],
      ['d', 'return d;'],
    ],
  );
  assert.equal(judged.explained, 2);
  assert.deepEqual(judged.stale, []);
});

test('a reason for what is noticed is told, so that none outlives its cause', () => {
  const reason = { file, text: 'a', instead: 'true', why };
  assert.deepEqual(judge(file, [result('failed', 'a')], [reason], 0).stale, [reason]);
});

test('only a sentence that is left out needs no reason', () => {
  const kind = 'StringLiteral';
  const judgedAs = (text: string, instead = '""'): boolean => isWording({ kind, text, instead });
  assert.equal(judgedAs("'the volume has no certificate'"), true);
  assert.equal(judgedAs('`the pod $NAME has no such account`', '``'), true);
  for (const text of ["'CERTIFICATE REQUEST'", "'podCertificate'", "'-----BEGIN '", '`$A $B $C`']) {
    assert.equal(judgedAs(text), false, text);
  }
  assert.equal(judgedAs("''", '"Stryker was here!"'), false);
  assert.equal(isWording({ kind: 'ConditionalExpression', text: "'the volume has no' === a", instead: '""' }), false);
});

test('the table counts every change once', () => {
  const verdicts: readonly Verdict[] = ['failed', 'passed', 'unreached', 'uncaught', 'gone', 'stuck', 'late'];
  const judged = judge(
    file,
    verdicts.map((verdict) => result(verdict, 'a')),
    [],
    2_000,
  );
  assert.deepEqual(
    table([judged])
      .split('\n')
      .map((line) => line.split(/ {2,}/)),
    [
      ['file', 'changes', 'failed', 'uncaught', 'endless', 'explained', 'wording', 'unexplained', 'seconds'],
      [file, '7', '1', '2', '2', '0', '0', '2', '2'],
      ['all', '7', '1', '2', '2', '0', '0', '2', '2'],
    ],
  );
});

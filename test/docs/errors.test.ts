/**
 * The reference has every kind of error: the agent's codes with the event that tells a pod of each, and the codes of gRPC with
 * everything that is answered with them.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const reference = read('docs/reference.md');
const [, section = ''] = /^## Errors\n([\s\S]*?)^## /m.exec(reference) ?? [];

/** Cells of each row whose first is a word in backticks. */
function rows(): readonly (readonly string[])[] {
  return [...section.matchAll(/^\| `(\w+)` \| (.*) \| (.*) \|$/gm)].map((match) => match.slice(1));
}

/** The words of a union of strings. */
function wordsOf(source: string, type: string): readonly string[] {
  const [, union = ''] = new RegExp(`^export type ${type} =\\n([\\s\\S]*?);$`, 'm').exec(source) ?? [];
  return [...union.matchAll(/^ {2}\| '(\w+)'/gm)].map(([, word = '']) => word);
}

test('every error code of the agent is in the reference, with the event that tells a pod of it', () => {
  const codes = wordsOf(read('agent/base/errors.ts'), 'ErrorCode');
  assert.ok(codes.length > 10, `${codes.length} codes`);
  const events = new Map(
    [...read('agent/observe/notices/credential-events.ts').matchAll(/^ {2}(\w+): \{\n {4}reason: '(\w+)'/gm)].map(
      ([, code = '', reason = '']) => [code, reason],
    ),
  );
  assert.ok(events.size > 8, `${events.size} events`);
  for (const code of codes) {
    const row = rows().find(([word, , last = '']) => word === code && /^(`[A-Z]|none)/.test(last));
    assert.ok(row !== undefined, `${code} is in no row`);
    const event = events.get(code);
    assert.ok(
      event === undefined ? row[2]?.startsWith('none') : row[2]?.includes(`\`${event}\``),
      `${code}: ${row[2]}`,
    );
  }
});

test('every outcome of a publish call and every error of a volume is in the row of the code that the kubelet shows', () => {
  const source = read('volumes/csi/status.ts');
  const answered = [...source.matchAll(/^ {2}(\w+): status\.([A-Z_]+),$/gm)].map(([, kind = '', code = '']) => ({
    kind,
    code: code
      .toLowerCase()
      .split('_')
      .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
      .join(''),
  }));
  const volumeErrors = wordsOf(read('volumes/base/errors.ts'), 'VolumeErrorCode');
  assert.ok(volumeErrors.length > 10, `${volumeErrors.length} codes`);
  for (const kind of [...volumeErrors, 'waiting', 'refused', 'invalid', 'unavailable']) {
    const code = answered.find((each) => each.kind === kind)?.code ?? '';
    const inRows = rows()
      .filter(([, when = '']) => when.includes(`\`${kind}\``))
      .map(([word]) => word);
    assert.deepEqual(inRows, [code], kind);
  }
});

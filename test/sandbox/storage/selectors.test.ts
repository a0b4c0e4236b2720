import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  matchesFields,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
  requiredName,
} from '../../../sandbox/storage/selectors.ts';

const labels = { app: 'web', size: '5', 'example.com/x': '' };
const cases: readonly (readonly [string, boolean])[] = [
  ['', true],
  ['app=web', true],
  ['app==web', true],
  ['app!=web', false],
  ['other!=web', true],
  ['app', true],
  ['!app', false],
  ['! other', true],
  ['app in (db, web)', true],
  ['app notin (db)', true],
  ['other notin (db)', true],
  ['size>4', true],
  ['size<4', false],
  ['example.com/x=', true],
  ['app=web,!other,size in (5)', true],
];

for (const [text, matches] of cases) {
  test(`label selector '${text}' ${matches ? 'matches' : 'does not match'} app=web, size=5`, () => {
    assert.equal(matchesLabels(parseLabelSelector(text), labels), matches);
  });
}

test('a label named like a property of objects is no label', () => {
  assert.equal(matchesLabels(parseLabelSelector('constructor'), {}), false);
});

for (const text of ['a b c', 'app in web', 'a=b=c', '=x', 'app=ä']) {
  test(`label selector '${text}' is refused`, () => {
    assert.throws(() => parseLabelSelector(text), { name: 'ApiError', code: 400 });
  });
}

test('field selectors compare for equality, with escaped separators', () => {
  const fields = { 'spec.nodeName': 'a,b=c', 'status.phase': 'Running' };
  assert.equal(
    matchesFields(parseFieldSelector('spec.nodeName=a\\,b\\=c,status.phase!=Failed'), fields),
    true,
    'the selector does not match',
  );
  assert.equal(matchesFields(parseFieldSelector('status.phase==Running'), fields), true, 'the selector does not match');
  assert.equal(matchesFields(parseFieldSelector('status.phase=Failed'), fields), false, 'the selector matches');
  assert.equal(matchesFields(parseFieldSelector('spec.x='), fields), true, 'the selector does not match');
  assert.throws(() => parseFieldSelector('status.phase'), { code: 400 });
});

test('the name that a field selector requires is known', () => {
  assert.equal(requiredName(parseFieldSelector('spec.x=y,metadata.name=z')), 'z');
  assert.equal(requiredName(parseFieldSelector('metadata.name!=z')), undefined);
});

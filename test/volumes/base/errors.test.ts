import assert from 'node:assert/strict';
import { test } from 'node:test';
import { messageOf } from '../../../volumes/base/errors.ts';

test('an error says its message, whatever the other words; anything else says those, or its own text', () => {
  assert.equal(messageOf(new TypeError('no such thing'), 'unreadable'), 'no such thing');
  assert.equal(messageOf('ECONNRESET'), 'ECONNRESET');
  assert.equal(messageOf({ token: 'secret' }, 'unreadable'), 'unreadable');
});

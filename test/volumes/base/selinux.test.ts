/** Mount options from a call: they become part of a mount that root makes, so nothing but one context comes through. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contextOption, isSELinuxContext, readMountFlags } from '../../../volumes/base/selinux.ts';

const context = 'system_u:object_r:container_file_t:s0:c1,c2';

test('one context is let through, with quotes and without, and so is none', () => {
  assert.deepEqual(readMountFlags([]), { ok: true });
  assert.deepEqual(readMountFlags([`context="${context}"`]), { ok: true, context });
  assert.deepEqual(readMountFlags([`context=${context}`]), { ok: true, context });
  assert.deepEqual(readMountFlags(['context="a:b:c"']), { ok: true, context: 'a:b:c' });
});

test('whatever else a call asks of the mount is refused, and shown in part', () => {
  const form = 'may hold one SELinux context, context="user:role:type:range", and nothing else, not ';
  const refused = (flags: readonly string[], shown: string): void => {
    assert.deepEqual(readMountFlags(flags), { ok: false, message: form + JSON.stringify(shown) });
  };
  for (const flag of [
    'exec',
    '',
    'context=',
    'context="a:b"',
    `context="${context}`,
    `context=${context}"`,
    `context="${context}",exec`,
    `exec,context="${context}"`,
    `fscontext="${context}"`,
    'context="a:b:c,exec"',
    'context="a:b:c d"',
    'context="a:b:c\n"',
    `context="${context}"\n`,
  ]) {
    refused([flag], flag);
  }
  refused([`context="${context}"`, 'exec'], `context="${context}" exec`);
  refused(['x'.repeat(200)], 'x'.repeat(128));
});

test('a context has three parts or four, and 1024 characters at most', () => {
  for (const [text, isGood] of [
    ['a:b:c', true],
    ['a.a:b-b:c_c', true],
    [context, true],
    ['a:b:c:s0-s0:c0.c1023', true],
    ['a:b', false],
    ['a:b:c:', false],
    [':b:c', false],
    ['a::c', false],
    ['a:b:', false],
    ['a:b,b:c', false],
    [' a:b:c', false],
    ['a:b:c ', false],
    ['a:b:c:s0"', false],
    [`a:b:${'c'.repeat(1020)}`, true],
    [`a:b:${'c'.repeat(1021)}`, false],
  ] as const) {
    assert.equal(isSELinuxContext(text), isGood, text.slice(0, 40));
  }
});

test('a context stands in quotes among the options of a mount', () => {
  assert.equal(contextOption(undefined), '');
  assert.equal(contextOption(context), `,context="${context}"`);
});

/** Which texts between braces are variables, and which are told as none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fill, templateVariables, unknownVariables, variableOf } from '../../../agent/issuance/template-variables.ts';

test('a variable is a field of the pod, or a label or annotation by its key, and nothing that only holds one', () => {
  for (const name of templateVariables) {
    assert.deepEqual(variableOf(name), { type: 'field', name });
  }
  const key = 'app.kubernetes.io/name';
  for (const object of ['pod', 'node', 'serviceAccount'] as const) {
    for (const map of ['labels', 'annotations'] as const) {
      assert.deepEqual(variableOf(`${object}.${map}['${key}']`), { type: 'metadata', of: object, map, key });
    }
  }
  for (const name of [
    '',
    'Namespace',
    ' namespace',
    'podIPs',
    'pod.labels',
    "xpod.labels['app']",
    "pod.labels['app']x",
    "pod.labels['']",
    "pod.labels['-app']",
    "pod.fields['app']",
    "node.labels['a'b']",
    `pod.labels['a${'b'.repeat(317)}']`,
  ]) {
    assert.equal(variableOf(name), undefined, name);
  }
});

test('each variable of a text is filled in, and one of no name is told with what was begun', () => {
  const text = `a\${namespace}b\${ x }c\${}d$e\${podName`;
  assert.equal(
    fill(text, (name) => `<${name}>`),
    `a<namespace>b< x >c<>d$e\${podName`,
  );
  assert.deepEqual(unknownVariables(text), [' x ', '', `$e\${podName`]);
  assert.deepEqual(unknownVariables(`\${namespace}/\${podName}/\${pod.labels['a']}`), []);
  assert.deepEqual(unknownVariables('plain'), []);
  assert.deepEqual(unknownVariables(`$e\${namespace}f`), ['$ef']);
});

/**
 * The documents for operators name what exists: events, metrics, values of the chart, messages.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { metricTable } from '../../agent/observe/metrics/metric-table.ts';

const root = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const documents = ['install', 'migration', 'security', 'troubleshooting'].map((name) => read(`docs/${name}.md`));
/** Whatever stands between backticks. */
const code = documents.flatMap((text) => [...text.matchAll(/`([^`\n]+)`/g)].map(([, word = '']) => word));

test('every metric in them is exported', () => {
  const names = new Set<string>(Object.values(metricTable).map(({ name }) => name));
  const used = documents.flatMap((text) => text.match(/\bpodcert_agent_\w+/g) ?? []);
  assert.ok(used.length > 3, `${used.length} is not more than 3`);
  for (const name of used) {
    assert.ok(names.has(name), name);
  }
});

test('every value of the chart in them is one', () => {
  const values: unknown = parse(read('deploy/helm/pod-certificate-agent/values.yaml'));
  const groups = Object.keys(values as object).join('|');
  const used = code.filter((word) => new RegExp(`^(${groups})(\\.[a-zA-Z]+)*$`).test(word));
  assert.ok(used.length > 15, `${used.length} is not more than 15`);
  for (const path of used) {
    const found = path
      .split('.')
      .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], values);
    assert.notEqual(found, undefined, path);
  }
});

test('every event in them is recorded by the agent, or by the kubelet', () => {
  const reasons = ['anchor', 'credential', 'pod', 'volume']
    .map((each) => read(`agent/observe/notices/${each}-events.ts`))
    .join('\n');
  const troubleshooting = documents.at(-1) ?? '';
  const events = [...troubleshooting.matchAll(/^\| (`[A-Z]\w+`.*?) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([A-Z][a-zA-Z]+)`/g)].map(([, reason = '']) => reason),
  );
  assert.ok(events.length > 8, `${events.length} is not more than 8`);
  for (const reason of events.filter((each) => each !== 'FailedMount' && each !== 'InvalidArgument')) {
    assert.ok(reasons.includes(`'${reason}'`), reason);
  }
});

test('messages of the agent that they quote are its own', () => {
  const source = ['agent', 'volumes']
    .flatMap((room) =>
      readdirSync(join(root, room), { recursive: true, encoding: 'utf8' }).map((name) => `${room}/${name}`),
    )
    .filter((name) => name.endsWith('.ts'))
    .map(read)
    .join('\n');
  for (const message of ['still waiting for signer', 'is not mounted shared', 'kubelet-registration']) {
    assert.ok(
      documents.some((text) => text.includes(message)),
      message,
    );
    assert.ok(source.includes(message), message);
  }
});

test('what the kubelet shows while the agent is dead is a symptom in troubleshooting', () => {
  const troubleshooting = documents.at(-1) ?? '';
  assert.match(troubleshooting, /^\| `FailedMount` … `connection refused`.*\[below\]\(#connection-refused\)/m);
  assert.match(troubleshooting, /rpc error: code = Unavailable/);
});

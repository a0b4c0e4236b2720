import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import {
  allowList,
  choice,
  duration,
  filePath,
  listenAddress,
  loopbackAddress,
  nodePath,
  type OptionType,
  quantity,
  subdomain,
  taintKey,
  toggle,
} from '../../../agent/configuration/option-types.ts';

function accepts<T>(type: OptionType<T>, pairs: readonly (readonly [unknown, T])[]): void {
  for (const [written, value] of pairs) {
    assert.deepEqual(type.read(written), { ok: true, value }, String(written));
  }
}

function refuses(type: OptionType<unknown>, written: readonly unknown[], fault: RegExp): void {
  for (const each of written) {
    const reading = type.read(each);
    assert.equal(reading.ok, false, JSON.stringify(each));
    if (!reading.ok) {
      assert.match(reading.fault, fault);
    }
  }
}

describe('a value', () => {
  test('of a taint has a domain, which is not one of Kubernetes', () => {
    const type = taintKey();
    accepts(type, [
      ['', undefined],
      ['podcert.io/agent-not-ready', 'podcert.io/agent-not-ready'],
      ['a.example/B_c.d', 'a.example/B_c.d'],
      [`a.example/${'a'.repeat(63)}`, `a.example/${'a'.repeat(63)}`],
      ['notkubernetes.io/x', 'notkubernetes.io/x'],
    ]);
    const faulty = [
      'agent-not-ready',
      'a.example/',
      '/a',
      'a.example/b/c',
      'A.example/b',
      `a.example/${'a'.repeat(64)}`,
    ];
    refuses(type, [...faulty, `${'a.'.repeat(127)}a/b`, 'a.example/-b', 7], /must be/);
    const foreign = ['node.kubernetes.io/not-ready', 'kubernetes.io/x', 'node-role.k8s.io/x', 'k8s.io/x'];
    refuses(type, foreign, /that is not of Kubernetes/);
  });

  test('of a duration has a unit and lies within its bounds', () => {
    const type = duration({ min: '1s', max: '1h' });
    accepts(type, [
      ['90s', 90_000],
      ['2m', 120_000],
      ['1h', 3_600_000],
      ['1500ms', 1_500],
      ['1.5m', 90_000],
      ['1m30s', 90_000],
    ]);
    refuses(
      type,
      ['90', 90, '', 's', '-1s', '1 m', '1d', '1.s', '1h m', null, true, {}],
      /^must be a duration with its unit/,
    );
    refuses(type, ['999ms', '61m', '0s', `${'9'.repeat(400)}h`], /^must be from 1s to 1h, not /);
  });

  test('of a quantity is a number within its bounds', () => {
    const whole = quantity({ min: 1, max: 10, whole: true });
    accepts(whole, [
      ['1', 1],
      [10, 10],
      ['3.0', 3],
    ]);
    refuses(
      whole,
      ['0', '11', '1.5', '-1', '1e1', '0x1', '', ' 1', 'NaN', Number.NaN, null, [], true],
      /^must be a whole number/,
    );
    accepts(quantity({ min: 0.1, max: 1, whole: false }), [['0.5', 0.5]]);
  });

  test('of a switch is true or false', () => {
    accepts(toggle(), [
      [true, true],
      ['true', true],
      [false, false],
      ['false', false],
    ]);
    refuses(toggle(), ['yes', '', 1, null], /^must be true or false, not /);
  });

  test('of a choice is one of its words', () => {
    accepts(choice(['a', 'b']), [['b', 'b']]);
    refuses(choice(['a', 'b']), ['A', '', 'a,b'], /^must be one of a, b, not /);
  });

  test('of a text is text: a number in the file would lose its form', () => {
    refuses(choice(['a']), [7, true, null, ['a'], { a: 1 }], /^must be text, not /);
  });

  test('of a name is a DNS subdomain', () => {
    const type = subdomain({ maxLength: 63 });
    accepts(type, [
      ['node-1.example.com', 'node-1.example.com'],
      ['x'.repeat(63), 'x'.repeat(63)],
    ]);
    refuses(
      type,
      ['', 'Node', 'a_b', '-a', 'a-', 'a..b', '.a', 'a/b', 'a\nb', 'x'.repeat(64)],
      /^must be a DNS subdomain name/,
    );
  });

  test('of a path on the node is absolute, and comes back in its plain form', () => {
    accepts(nodePath(), [
      ['/a/./b/../c//d/', '/a/c/d'],
      ['/', '/'],
    ]);
    refuses(nodePath(), ['', 'a', './a', '~/a', '/a\0b'], /^must be an absolute path, not /);
    accepts(nodePath({ maxBytes: 4 }), [['/abc', '/abc']]);
    refuses(nodePath({ maxBytes: 4 }), ['/abcd', '/äö'], /^must be at most 4 bytes long, and is 5: /);
  });

  test('of a file may be relative to the working directory', () => {
    accepts(filePath(), [
      ['a/b', `${process.cwd()}/a/b`],
      ['/a', '/a'],
    ]);
    refuses(filePath(), ['', 'a\0'], /^must be a path, not /);
  });

  test('of an allow-list is a list, on the command line as YAML text', () => {
    const rules = [{ namespaces: ['*'], signers: ['example.com/*'] }];
    accepts(allowList(), [
      [rules, rules],
      ['[{namespaces: ["*"], signers: [example.com/*]}]', rules],
      ['[]', []],
    ]);
    refuses(allowList(), ['', '[', 'shop', '&a [*a]', null, {}], /^must be a list/);
    refuses(allowList(), ['[{namespaces: [shop]}]'], /^\[0\]\.signers must be/);
  });

  test('of a listening address is host and port, or nothing', () => {
    accepts(listenAddress(), [
      ['', undefined],
      ['127.0.0.1:9808', { host: '127.0.0.1', port: 9808 }],
      ['127.1.2.3:0', { host: '127.1.2.3', port: 0 }],
      ['[::1]:65535', { host: '::1', port: 65_535 }],
      ['0.0.0.0:9808', { host: '0.0.0.0', port: 9808 }],
      ['[::]:9808', { host: '::', port: 9808 }],
    ]);
    const malformed = [
      '9808',
      ':9808',
      '127.0.0.1',
      '127.0.0.1:',
      '::1:80',
      '[::1]',
      '[]:1',
      '[localhost]:1',
      'a:65536',
      'a:-1',
    ];
    refuses(
      listenAddress(),
      [...malformed, '127.1:1', 'node-1:80', 'localhost:1'],
      /^must be an IP address with port, such as /,
    );
  });

  test('of a loopback address is one that only this machine reaches', () => {
    accepts(loopbackAddress(), [
      ['', undefined],
      ['127.0.0.1:80', { host: '127.0.0.1', port: 80 }],
      ['[::1]:1', { host: '::1', port: 1 }],
    ]);
    refuses(
      loopbackAddress(),
      ['0.0.0.0:1', '[::]:1', '10.0.0.1:1', '[::ffff:127.0.0.1]:1'],
      /^must be a loopback address/,
    );
    refuses(loopbackAddress(), ['127.0.0.1', 'localhost:1'], /^must be an IP address with port/);
  });

  test('that is refused is quoted in part only when it is long', () => {
    const reading = toggle().read('x'.repeat(10_000));
    assert.ok(!reading.ok && reading.fault.length < 120, inspect(reading));
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readCommandLine } from '../../../agent/configuration/command-line.ts';

describe('the command line', () => {
  test('gives each option what was written for it, and the flag it was written with', () => {
    const { written, asks, configFile, faults } = readCommandLine([
      '--node-name',
      'n',
      '--no-registration',
      '--burst=3',
    ]);
    assert.deepEqual(
      [...written],
      [
        ['nodeName', { value: 'n', where: '--node-name' }],
        ['noRegistration', { value: true, where: '--no-registration' }],
        ['burst', { value: '3', where: '--burst' }],
      ],
    );
    assert.deepEqual([asks, configFile, faults], ['run', undefined, []]);
  });

  const faulty: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    ['a flag without its value', ['--burst'], ['--burst: needs a value']],
    [
      'a flag whose value is the next flag',
      ['--burst', '--no-registration'],
      ['--burst: needs a value; "--no-registration" is taken for one only as --burst=--no-registration'],
    ],
    ['a flag given twice', ['--burst=1', '--burst=2'], ['--burst: is given twice']],
    ['a file without a name', ['--config='], ['--config: needs a value']],
    ['help with a value', ['--help=me'], ['--help: takes no value']],
    ['an unknown flag and its value, as one fault', ['--brust', '3'], ['--brust: is not an option, see --help']],
    [
      'an unknown flag with its value and another argument',
      ['--brust=3', 'x'],
      ['--brust: is not an option, see --help', '"x": is not an option, see --help'],
    ],
    ['arguments after --', ['--', '--burst'], ['"--burst": is not an option, see --help']],
    [
      'a name that every object has',
      ['--constructor=1', '--to-string'],
      ['--constructor: is not an option, see --help', '--to-string: is not an option, see --help'],
    ],
    ['a key of the file instead of a flag', ['--nodeName=n'], ['--nodeName: is not an option, see --help']],
  ];
  for (const [what, argv, expected] of faulty) {
    test(`refuses ${what}`, () => {
      const { faults, written, configFile } = readCommandLine(argv);
      assert.deepEqual(faults, expected);
      assert.equal(configFile, undefined);
      assert.ok(written.size <= 1, `${written.size} is more than 1`);
    });
  }

  test('takes a value that starts with a dash behind an equals sign', () => {
    assert.equal(readCommandLine(['--kubeconfig=-odd']).written.get('kubeconfig')?.value, '-odd');
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { helpText, optionsTable } from '../../../agent/configuration/help.ts';
import { flagOf, type OptionRow, optionKeys, options } from '../../../agent/configuration/options.ts';

describe('help', () => {
  test('explains every option, with its default, and how to ask for more', () => {
    const help = helpText();
    const flat = help.replace(/\s+/g, ' ');
    for (const key of optionKeys) {
      const row: OptionRow<unknown> = options[key];
      assert.match(help, new RegExp(`^ {2}${flagOf(key)}( |$)`, 'm'));
      assert.ok(flat.includes(row.description), key);
      if (row.default !== undefined && row.type.placeholder !== undefined) {
        assert.ok(flat.includes(`default: ${row.default}`), key);
      }
    }
    for (const flag of ['--config FILE', '-h, --help', '--version']) {
      assert.ok(help.includes(`  ${flag}\n`), flag);
    }
  });

  test('fits a terminal of 100 columns', () => {
    for (const line of helpText().split('\n')) {
      assert.ok(line.length <= 100, line);
    }
  });

  test('says which options take effect without a restart', () => {
    const reloadable = optionKeys.filter((key) => options[key].reloadable);
    assert.deepEqual(reloadable, [
      'requestsPerSecond',
      'burst',
      'allowedSigners',
      'issuers',
      'followSuggestedKeyType',
      'logLevel',
    ]);
    assert.equal(helpText().match(/reloadable\)/g)?.length, reloadable.length);
  });
});

describe('the table of options', () => {
  test('has one row for each, with as many cells as the head', () => {
    const [head = '', , ...rows] = optionsTable().trimEnd().split('\n');
    const cells = (line: string): number => line.split(/(?<!\\)\|/).length;
    assert.equal(rows.length, optionKeys.length);
    for (const row of rows) {
      assert.equal(cells(row), cells(head), row);
    }
  });

  test('has a default that the option itself accepts', () => {
    for (const key of optionKeys) {
      const row: OptionRow<unknown> = options[key];
      if (row.default === undefined || row.default.includes('<')) {
        continue;
      }
      assert.equal(row.type.read(row.default).ok, true, key);
    }
  });
});

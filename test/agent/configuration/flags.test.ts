import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AgentConfiguration, parseConfiguration } from '../../../agent/configuration/configuration.ts';
import { flagLines } from '../../../agent/configuration/flags.ts';

function configured(argv: readonly string[]): AgentConfiguration {
  const parsed = parseConfiguration(argv, {}, () => '');
  assert.equal(parsed.type, 'run');
  return parsed.type === 'run' ? parsed.configuration : assert.fail();
}

test('the options in force are written as flags that give the same configuration again', () => {
  for (const argv of [
    ['--node-name=node-1'],
    ['--node-name=node-2', '--no-registration', '--metrics-address=[::1]:0', '--publish-timeout=1m30s', '--burst=7'],
    ['--node-name=node-3', '--kubeconfig=/etc/k', '--impersonate-node', '--log-level=debug', '--shutdown-grace=0s'],
  ]) {
    const configuration = configured(argv);
    const lines = flagLines(configuration);
    // Where there is no registration, its directory has been left out of the configuration.
    assert.deepEqual(configured([...lines]), configuration);
  }
  assert.ok(
    flagLines(configured(['--node-name=node-1'])).includes('--metrics-address=127.0.0.1:9808'),
    `--metrics-address=127.0.0.1:9808 is not in:\n${flagLines(configured(['--node-name=node-1']))}`,
  );
});

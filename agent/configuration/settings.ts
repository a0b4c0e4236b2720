/**
 * The options that may change while the agent runs: their values now, and what a new configuration file does to them.
 */

import type { FileWatch } from '../base/file-watch.ts';
import { unreachable } from '../base/unreachable.ts';
import type { Logger } from '../observe/log/log.ts';
import type { AgentConfiguration, ParsedConfiguration } from './configuration.ts';
import { type ConfigurationChange, watchConfiguration } from './reload.ts';

export interface SettingsOptions {
  readonly configuration: AgentConfiguration;
  /** Reads the configuration anew, with the same arguments and environment. */
  readonly parse: () => ParsedConfiguration;
  readonly log: Logger;
  /** Called with every configuration that takes effect, after the log's level has changed. */
  readonly onChange: (configuration: AgentConfiguration) => void;
}

export interface Settings {
  /** The configuration in force. */
  current(): AgentConfiguration;
  /** Watches the configuration file from now on, if there is one. */
  watch(): Promise<FileWatch>;
}

export function createSettings({ configuration, parse, log, onChange }: SettingsOptions): Settings {
  let current = configuration;

  const apply = (change: ConfigurationChange): void => {
    switch (change.type) {
      case 'changed':
        current = change.configuration;
        log.setLevel(current.logLevel);
        onChange(current);
        log.info('the configuration file has changed', { option: change.options });
        return;
      case 'restartNeeded':
        log.warn('the configuration file has changes that take effect at the next start', { option: change.options });
        return;
      case 'rejected':
        log.error('the configuration file has faults; the earlier configuration stays', { detail: change.faults });
        return;
      default:
        unreachable(change);
    }
  };

  return {
    current: () => current,
    watch: () =>
      watchConfiguration({
        configuration,
        parse,
        listener: apply,
        onError: (error) => log.warn('the configuration file cannot be watched', { error }),
      }),
  };
}

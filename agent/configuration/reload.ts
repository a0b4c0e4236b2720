/**
 * Hot reload: watches the configuration file and reports what a new version of it changes.
 */
import { isDeepStrictEqual } from 'node:util';
import { type FileWatch, watchFiles } from '../base/file-watch.ts';
import type { AgentConfiguration, ParsedConfiguration } from './configuration.ts';
import { flagOf, type OptionKey, optionKeys, options } from './options.ts';

/** What a new version of the file means. Options are named by their flags. */
export type ConfigurationChange =
  /** These options have new values from now on; all others are as they were at the start. */
  | { readonly type: 'changed'; readonly options: readonly string[]; readonly configuration: AgentConfiguration }
  /** These options have other values in the file than the agent runs with, and need a restart. */
  | { readonly type: 'restartNeeded'; readonly options: readonly string[] }
  /** The file has faults, one line each; nothing changes. */
  | { readonly type: 'rejected'; readonly faults: readonly string[] };

/**
 * Watches until closed. Returns once changes are noticed; the file is then read a first time, so that a change made since
 * the start is not missed. The same news is not told twice in a row.
 * @param settings.configuration what the agent runs with; nothing is watched when it has no `configFile`
 * @param settings.parse parses anew, with the same arguments and environment
 * @param settings.listener takes a change; never called after `close`
 */
export async function watchConfiguration(settings: {
  readonly configuration: AgentConfiguration;
  readonly parse: () => ParsedConfiguration;
  readonly listener: (change: ConfigurationChange) => void;
  /** An error of the watching itself; it goes on. */
  readonly onError: (error: unknown) => void;
}): Promise<FileWatch> {
  const { configFile } = settings.configuration;
  if (configFile === undefined) {
    return { close: () => Promise.resolve() };
  }
  const compare = createComparison(settings.configuration);
  const readAgain = (): void => {
    for (const change of compare(settings.parse())) {
      settings.listener(change);
    }
  };
  return watchFiles([configFile], readAgain, settings.onError);
}

/** Compares each parsed configuration with what the agent runs with, and remembers what was told. */
function createComparison(
  initial: AgentConfiguration,
): (parsed: ParsedConfiguration) => readonly ConfigurationChange[] {
  let current = initial;
  let toldFaults: readonly string[] = [];
  let toldRestart: readonly string[] = [];
  return (parsed) => {
    if (parsed.type !== 'run') {
      const faults = parsed.type === 'invalid' ? parsed.faults : [];
      const isNews = !isDeepStrictEqual(faults, toldFaults);
      toldFaults = faults;
      return isNews ? [{ type: 'rejected', faults }] : [];
    }
    toldFaults = [];
    const next: AgentConfiguration = { ...initial, ...reloadableValues(parsed.configuration) };
    const changes: ConfigurationChange[] = [];
    const changed = differences(current, next);
    if (changed.length > 0) {
      changes.push({ type: 'changed', options: changed, configuration: next });
    }
    const restart = differences(next, parsed.configuration);
    if (restart.length > 0 && !isDeepStrictEqual(restart, toldRestart)) {
      changes.push({ type: 'restartNeeded', options: restart });
    }
    current = next;
    toldRestart = restart;
    return changes;
  };
}

function reloadableValues(configuration: AgentConfiguration): Partial<AgentConfiguration> {
  const entries = Object.entries(configuration).filter(([name]) => {
    const key = optionOf(name);
    return key !== undefined && options[key].reloadable;
  });
  return Object.fromEntries(entries) as Partial<AgentConfiguration>;
}

/** The flags of the options in which two configurations differ. */
function differences(one: AgentConfiguration, other: AgentConfiguration): readonly string[] {
  const values: Readonly<Record<string, unknown>> = { ...other };
  return Object.entries(one).flatMap(([name, value]) => {
    const key = optionOf(name);
    return key === undefined || isDeepStrictEqual(value, values[name]) ? [] : [flagOf(key)];
  });
}

/** The option behind a property of the configuration, whose name may have the unit added. */
function optionOf(property: string): OptionKey | undefined {
  const name = property.replace(/Ms$/, '');
  return optionKeys.find((key) => key === name);
}

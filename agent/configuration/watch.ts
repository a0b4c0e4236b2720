/**
 * Hot reload: watches the configuration file and reports what a new version of it changes. A file in a mounted ConfigMap
 * is a chain of symbolic links of which one (`..data`) is swapped, so the whole directory is watched, and the file is
 * read again whatever happened there.
 */
import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { watch } from 'chokidar';
import type { AgentConfiguration, ParsedConfiguration } from '../config.ts';
import { flagOf, type OptionKey, optionKeys, options } from './options.ts';

/** What a new version of the file means. Options are named by their flags. */
export type ConfigurationChange =
  /** These options have new values from now on; all others are as they were at the start. */
  | { readonly type: 'changed'; readonly options: readonly string[]; readonly configuration: AgentConfiguration }
  /** These options have other values in the file than the agent runs with, and need a restart. */
  | { readonly type: 'restartNeeded'; readonly options: readonly string[] }
  /** The file has faults, one line each; nothing changes. */
  | { readonly type: 'rejected'; readonly faults: readonly string[] };

export interface ConfigurationWatch {
  close(): Promise<void>;
}

/** Longer than an editor takes from emptying a file to filling it. */
const settleMs = 100;

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
}): Promise<ConfigurationWatch> {
  const { configFile } = settings.configuration;
  if (configFile === undefined) return { close: () => Promise.resolve() };
  const compare = createComparison(settings.configuration);
  let closed = false;
  let timer: NodeJS.Timeout | undefined;

  const readAgain = (): void => {
    timer = undefined;
    for (const change of compare(settings.parse())) settings.listener(change);
  };
  const settle = (): void => {
    // A timer that runs is left alone: in a directory where something happens all the time it would never end.
    if (!closed) timer ??= setTimeout(readAgain, settleMs);
  };
  const watcher = watch(dirname(configFile), { depth: 0, ignoreInitial: true });
  watcher.on('all', settle);
  watcher.on('error', settings.onError);
  await new Promise<void>((resolve) => {
    watcher.once('ready', resolve);
  });
  settle();
  return {
    close: async () => {
      closed = true;
      clearTimeout(timer);
      await watcher.close();
    },
  };
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
    if (changed.length > 0) changes.push({ type: 'changed', options: changed, configuration: next });
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

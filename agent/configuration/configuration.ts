/**
 * Reads the configuration: from the command line, a YAML file and the environment to checked values. A flag wins over
 * the file, the file over the environment, the environment over the default. Every fault is reported, not just the
 * first.
 */
import { parseDocument } from 'yaml';
import { messageOf } from '../../volumes/base/errors.ts';
import { readCommandLine, type Written, type WrittenValues } from './command-line.ts';
import { helpText } from './help.ts';
import {
  flagOf,
  keyOfFlag,
  type OptionKey,
  type OptionRow,
  type OptionValues,
  optionKeys,
  options,
} from './options.ts';

/** What the agent runs with. Durations are in milliseconds, paths absolute. */
export interface AgentConfiguration
  extends Omit<OptionValues, 'publishTimeout' | 'shutdownGrace' | 'registrationDir' | 'noRegistration'> {
  readonly publishTimeoutMs: number;
  readonly shutdownGraceMs: number;
  /** Absent: the agent does not register with the kubelet. */
  readonly registrationDir: string | undefined;
  /** The configuration file, for `watchConfiguration`; absent: there is none. */
  readonly configFile: string | undefined;
}

export type ParsedConfiguration =
  | { readonly type: 'run'; readonly configuration: AgentConfiguration }
  | { readonly type: 'help'; readonly text: string }
  | { readonly type: 'version' }
  /** One line per fault, each naming the flag, the key in the file, or the environment variable. */
  | { readonly type: 'invalid'; readonly faults: readonly string[] };

/**
 * Reads and checks the configuration.
 * @param argv the arguments, without interpreter and script
 * @param readFile returns a file's text, or throws; called at most once, for `--config`
 */
export function parseConfiguration(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  readFile: (path: string) => string,
): ParsedConfiguration {
  const commandLine = readCommandLine(argv);
  if (commandLine.asks === 'help') {
    return { type: 'help', text: helpText() };
  }
  if (commandLine.asks === 'version') {
    return { type: 'version' };
  }
  const { configFile } = commandLine;
  const file = configFile === undefined ? noFile : readConfigurationFile(configFile, readFile);
  const { values, faults } = readValues((key) => commandLine.written.get(key) ?? file.written?.get(key), env);
  // Nobody knows what an unreadable file would have said, so no value counts as missing.
  const missing = file.written === undefined ? [] : missingValues(values);
  const all = [...commandLine.faults, ...file.faults, ...faults, ...missing, ...incompletePairs(values)];
  if (all.length > 0) {
    return { type: 'invalid', faults: all };
  }
  const { publishTimeout, shutdownGrace, noRegistration, registrationDir, ...rest } = values;
  return {
    type: 'run',
    configuration: {
      ...rest,
      publishTimeoutMs: publishTimeout,
      shutdownGraceMs: shutdownGrace,
      registrationDir: noRegistration ? undefined : registrationDir,
      configFile,
    },
  };
}

/** Largest configuration file, in characters: what is larger is something else. */
const maxFileLength = 1_000_000;

/** What a file says; `written` is absent when it cannot be understood as a whole. */
interface FileContent {
  readonly written?: WrittenValues;
  readonly faults: readonly string[];
}

const noFile: FileContent = { written: new Map(), faults: [] };

function readConfigurationFile(path: string, readFile: (path: string) => string): FileContent {
  const failed = (message: string): FileContent => ({ faults: [`${path}: ${message}`] });
  let text: string;
  try {
    text = readFile(path);
  } catch (error) {
    return failed(`cannot be read: ${messageOf(error, 'unknown error')}`);
  }
  if (text.length > maxFileLength) {
    return failed(`is longer than ${maxFileLength} characters`);
  }
  const document = parseDocument(text);
  const [error] = document.errors;
  // One slip in YAML makes many errors, and each message goes on with an excerpt of the file: the first line is enough.
  if (error !== undefined) {
    return failed(error.message.split(':\n', 1)[0] ?? error.code);
  }
  let content: unknown;
  try {
    content = document.toJS() ?? {};
  } catch (error) {
    return failed(messageOf(error, 'cannot be understood'));
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    return failed('must hold keys and values');
  }
  const written = new Map<OptionKey, Written>();
  const faults: string[] = [];
  for (const [name, value] of Object.entries(content)) {
    const key = optionKeys.find((candidate) => candidate === name);
    if (key === undefined) {
      faults.push(`${path}: ${name}: is not an option`);
    } else {
      written.set(key, { value, where: `${path}: ${key}` });
    }
  }
  return { written, faults };
}

/** The values are complete when nothing is at fault and nothing is missing. */
function readValues(
  find: (key: OptionKey) => Written | undefined,
  env: Readonly<Record<string, string | undefined>>,
): { readonly values: OptionValues; readonly faults: readonly string[] } {
  const values = new Map<OptionKey, unknown>();
  const faults: string[] = [];
  for (const key of optionKeys) {
    const row: OptionRow<unknown> = options[key];
    const written = find(key) ?? fromEnvironment(row, env) ?? fromDefault(key, row, values);
    if (written === undefined) {
      if (row.default === undefined) {
        values.set(key, undefined);
      }
      continue;
    }
    const reading = row.type.read(written.value);
    if (reading.ok) {
      values.set(key, reading.value);
    } else {
      faults.push(`${written.where}: ${reading.fault}`);
    }
  }
  return { values: Object.fromEntries(values) as OptionValues, faults };
}

function missingValues(values: OptionValues): readonly string[] {
  return optionKeys.flatMap((key) => {
    const { required, environment }: OptionRow<unknown> = options[key];
    // A value that is at fault has no entry at all, and its fault has been told.
    const isMissing = required && key in values && values[key] === undefined;
    return isMissing
      ? [`${flagOf(key)}: is required${environment ? ` (or ${environment} in the environment)` : ''}`]
      : [];
  });
}

/** A certificate is of no use without its key, nor the other way round. */
function incompletePairs({ tlsCertFile, tlsKeyFile }: OptionValues): readonly string[] {
  const both = `${flagOf('tlsCertFile')} and ${flagOf('tlsKeyFile')} belong together`;
  return (tlsCertFile === undefined) === (tlsKeyFile === undefined) ? [] : [`${both}, and only one of them is given`];
}

function fromEnvironment(
  row: OptionRow<unknown>,
  env: Readonly<Record<string, string | undefined>>,
): Written | undefined {
  const value = row.environment === undefined ? undefined : env[row.environment];
  // An empty variable counts as absent: that is what a manifest with an empty value leaves.
  return value === undefined || value === '' ? undefined : { value, where: `${row.environment} (environment)` };
}

/** Undefined when there is no default, or when the default is made of a value that is at fault itself. */
function fromDefault(
  key: OptionKey,
  row: OptionRow<unknown>,
  values: ReadonlyMap<OptionKey, unknown>,
): Written | undefined {
  if (row.default === undefined) {
    return undefined;
  }
  let isWhole = true;
  const value = row.default.replace(/<([a-z-]+)>/g, (_, flag: string) => {
    const other = keyOfFlag(`--${flag}`);
    const known = other === undefined ? undefined : values.get(other);
    isWhole &&= typeof known === 'string';
    return String(known);
  });
  return isWhole ? { value, where: flagOf(key) } : undefined;
}

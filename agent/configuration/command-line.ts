/**
 * Splits the command line into what was written for which option. Only the form of the arguments is checked here.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { flagOf, keyOfFlag, type OptionKey, optionKeys, takesValue } from './options.ts';

/** Text or a scalar as somebody wrote it, and where: the words that a fault begins with. */
export interface Written {
  readonly value: unknown;
  readonly where: string;
}

export type WrittenValues = ReadonlyMap<OptionKey, Written>;

export interface CommandLine {
  readonly asks: 'run' | 'help' | 'version';
  /** Absolute path of `--config`. */
  readonly configFile: string | undefined;
  readonly written: WrittenValues;
  /** One line per fault, naming the argument. */
  readonly faults: readonly string[];
}

/** Flags that are no options of the agent, and whether a value goes with them. */
const otherFlags: ReadonlyMap<string, boolean> = new Map([
  ['--config', true],
  ['--help', false],
  ['--version', false],
]);

type Token = ReturnType<typeof tokenize>[number];
type OptionToken = Token & { readonly kind: 'option' };

/**
 * Reads the arguments. `parseArgs` in strict mode stops at its first complaint; here it splits the arguments into tokens,
 * and its rules are applied to each of them.
 */
export function readCommandLine(argv: readonly string[]): CommandLine {
  const tokens = tokenize(argv);
  const judged = tokens.map((token, at) => ({ token, fault: faultOf(token, tokens.slice(0, at)) }));
  const accepted = judged.flatMap(({ token, fault }) =>
    token.kind === 'option' && fault === undefined ? [{ flag: `--${token.name}`, value: token.value }] : [],
  );
  const written = accepted.flatMap(({ flag, value }): (readonly [OptionKey, Written])[] => {
    const key = keyOfFlag(flag);
    return key === undefined ? [] : [[key, { value: value ?? true, where: flag }]];
  });
  const has = (wanted: string): boolean => accepted.some(({ flag }) => flag === wanted);
  const configFile = accepted.find(({ flag }) => flag === '--config')?.value;
  return {
    asks: has('--help') ? 'help' : has('--version') ? 'version' : 'run',
    configFile: configFile === undefined ? undefined : resolve(configFile),
    written: new Map(written),
    faults: judged.flatMap(({ token, fault }) => (fault === undefined ? [] : [`${argumentOf(token)}: ${fault}`])),
  };
}

function argumentOf(token: Token): string {
  if (token.kind === 'option') {
    return token.rawName;
  }
  return token.kind === 'positional' ? JSON.stringify(token.value) : '--';
}

function tokenize(argv: readonly string[]) {
  const flags = [...optionKeys.map((key) => [flagOf(key), takesValue(key)] as const), ...otherFlags].map(
    ([flag, hasValue]) => [flag.slice(2), { type: hasValue ? ('string' as const) : ('boolean' as const) }] as const,
  );
  return parseArgs({
    args: [...argv],
    options: { ...Object.fromEntries(flags), help: { type: 'boolean', short: 'h' } },
    strict: false,
    allowPositionals: true,
    tokens: true,
  }).tokens;
}

function isKnown(flag: string): boolean {
  return otherFlags.has(flag) || keyOfFlag(flag) !== undefined;
}

function faultOf(token: Token, before: readonly Token[]): string | undefined {
  if (token.kind === 'option-terminator') {
    return undefined;
  }
  if (token.kind === 'option') {
    return flagFault(token, before);
  }
  // What follows an unknown flag is most likely its value: one mistake, one fault.
  const previous = before.at(-1);
  const isExplained = previous?.kind === 'option' && !isKnown(`--${previous.name}`) && previous.inlineValue !== true;
  return isExplained ? undefined : 'is not an option, see --help';
}

function flagFault(token: OptionToken, before: readonly Token[]): string | undefined {
  const flag = `--${token.name}`;
  if (!isKnown(flag)) {
    return 'is not an option, see --help';
  }
  if (before.some((other) => other.kind === 'option' && other.name === token.name)) {
    return 'is given twice';
  }
  const key = keyOfFlag(flag);
  const needsValue = key === undefined ? otherFlags.get(flag) === true : takesValue(key);
  if (!needsValue) {
    return key === undefined && token.value !== undefined ? 'takes no value' : undefined;
  }
  if (token.value === undefined || (flag === '--config' && token.value === '')) {
    return 'needs a value';
  }
  return token.inlineValue === false && token.value.startsWith('-')
    ? `needs a value; ${JSON.stringify(token.value)} is taken for one only as ${flag}=${token.value}`
    : undefined;
}

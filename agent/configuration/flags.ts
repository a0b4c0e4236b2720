/**
 * Writes the configuration in force as flags. No option holds a secret; files that hold one are named by their path.
 */
import type { AgentConfiguration } from './configuration.ts';
import { flagOf, optionKeys } from './options.ts';

/** One `--flag=value` for each option that has a value, in the order of the options. */
export function flagLines(configuration: AgentConfiguration): readonly string[] {
  const { publishTimeoutMs, shutdownGraceMs, registrationDir, ...rest } = configuration;
  const values: Readonly<Record<string, unknown>> = {
    ...rest,
    registrationDir,
    noRegistration: registrationDir === undefined,
    publishTimeout: `${publishTimeoutMs}ms`,
    shutdownGrace: `${shutdownGraceMs}ms`,
  };
  return optionKeys.flatMap((key) => {
    const value = values[key];
    return value === undefined ? [] : [`${flagOf(key)}=${valueText(value)}`];
  });
}

/** A value is text, a number, a switch, a list, or an address. */
function valueText(value: unknown): string {
  if (Array.isArray(value)) {
    return JSON.stringify(value);
  }
  if (typeof value !== 'object' || value === null) {
    return String(value);
  }
  const { host, port } = { host: '', port: 0, ...value };
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Logs: one JSON line per thing that happened, with the keys of `log-fields.ts`, or the same as text for a terminal.
 * pino makes the lines; nothing else in the agent knows it.
 *
 * https://getpino.io
 */

import { type DestinationStream, type LevelWithSilent, pino, stdTimeFunctions } from 'pino';
import { cut } from '../../base/cut.ts';
import { AgentError } from '../../base/errors.ts';
import { errorText, redact } from '../../base/redact.ts';
import type { LogField, LogFields } from './log-fields.ts';
import { formatLine } from './log-text.ts';

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

/** `auto` is text when the destination is a terminal, else JSON. */
export const logFormats = ['json', 'text', 'auto'] as const;
export type LogFormat = (typeof logFormats)[number];

/** Where lines go: one call per line, the newline included. `process.stdout` fits. */
export interface LogDestination {
  write(line: string): unknown;
  readonly isTTY?: boolean;
}

export interface Logger {
  /** Detail that is of use only while looking for a fault. */
  debug(message: string, fields?: LogFields): void;
  /** Something happened as intended. */
  info(message: string, fields?: LogFields): void;
  /** Something needs attention unless it passes by itself. */
  warn(message: string, fields?: LogFields): void;
  /** Something needs a person. */
  error(message: string, fields?: LogFields): void;
  /** Changes from the next line on what is written. */
  setLevel(level: LogLevel): void;
}

/** Longest text of one field, in characters: a signer's message is as long as its author likes. */
const maxTextLength = 4_096;

/** Keys that never hold anything but a secret. They are no log fields; this catches what bypasses the types. */
const secretKeys = ['privateKey', 'pkcs8', 'key', 'token', 'authorization', 'password'];

/**
 * Creates the agent's logger. Lines are written synchronously, so that the last line before a crash is not lost.
 * Secrets are kept out three times over: by the type of the fields, by what texts look like (`redact.ts`), and by name.
 */
export function createLogger(options: {
  readonly level: LogLevel;
  readonly format: LogFormat;
  readonly destination: LogDestination;
}): Logger {
  const { destination, format } = options;
  const colour = destination.isTTY === true;
  const asText = format === 'text' || (format === 'auto' && colour);
  const stream: DestinationStream = {
    write: (line) => void destination.write(asText ? formatLine(line, colour) : line),
  };
  const logger = pino(
    {
      level: options.level satisfies LevelWithSilent,
      base: null,
      messageKey: 'message',
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secretKeys, censor: '[redacted]' },
    },
    stream,
  );
  const write = (level: LogLevel, message: string, fields: LogFields = {}): void => {
    if (logger.isLevelEnabled(level)) {
      logger[level](cleanFields(fields), cleanText(message));
    }
  };
  return {
    debug: (message, fields) => write('debug', message, fields),
    info: (message, fields) => write('info', message, fields),
    warn: (message, fields) => write('warn', message, fields),
    error: (message, fields) => write('error', message, fields),
    setLevel: (level) => {
      logger.level = level;
    },
  };
}

function cleanText(text: string): string {
  return redact(cut(text, maxTextLength));
}

function cleanFields(fields: LogFields): Partial<Record<LogField, unknown>> {
  const clean: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) {
      continue;
    }
    if (key === 'error') {
      Object.assign(clean, errorFields(value));
    } else {
      clean[key] = cleanValue(value);
    }
  }
  return clean;
}

function cleanValue(value: unknown): unknown {
  if (typeof value === 'string') {
    return cleanText(value);
  }
  if (typeof value === 'number' || typeof value === 'boolean') {
    return value;
  }
  if (Array.isArray(value)) {
    return value.map((item) => (typeof item === 'string' ? cleanText(item) : '[redacted]'));
  }
  return '[redacted]';
}

/** Nobody is nobody's news: what passes by itself has no actor. */
function actorOf({ actor }: AgentError): { readonly actor?: string } {
  return actor === 'nobody' ? {} : { actor };
}

/** A stack is told only for faults of the agent itself; what others did wrong needs none. */
function errorFields(error: unknown): Partial<Record<LogField, unknown>> {
  const text = { error: cleanText(errorText(error)) };
  const known = error instanceof AgentError ? { ...text, errorCode: error.code, ...actorOf(error) } : text;
  const isOwnFault = error instanceof Error && (!(error instanceof AgentError) || error.code === 'Internal');
  return isOwnFault && error.stack !== undefined ? { ...known, stack: cleanText(error.stack) } : known;
}

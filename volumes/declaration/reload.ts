/**
 * Reads `reload`: how programs of the pod are told that the volume's files have changed. It stands beside `sources` and is YAML text like
 * them. No field of it can name anything but the pod itself.
 */
import type { Steps } from '../base/steps.ts';
import { parseMapping, readPort } from './attribute.ts';
import { type Fault, quote, readMapping, readOneOf, readString } from './fields.ts';
import { maxProcessNameLength, maxReloadPathLength } from './limits.ts';
import { checkPath, type OutputPath } from './paths.ts';

/** How programs of the pod are told of new files; at least one is set. */
export interface Reload {
  /** A file at the volume's top that names the set of files in place, and is written anew after each change. */
  readonly touch?: string;
  readonly http?: HttpReload;
  readonly signal?: SignalReload;
}

/** A signal to processes of the pod, wherever in it they run. */
export interface SignalReload {
  /** The name that the kernel knows the process by (`ps -o comm`), 15 bytes at most. */
  readonly process: string;
  readonly signal: (typeof reloadSignals)[number];
}

/** Those by which programs are told to read their files again, and none that is meant to end one. The first is the default. */
export const reloadSignals = ['SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const;

/** A request to the pod's own address. There is no field for a host: nobody else can be asked. */
export interface HttpReload {
  readonly port: number;
  /** From the slash on, query included. */
  readonly path: string;
  readonly method: (typeof reloadMethods)[number];
  readonly scheme: (typeof reloadSchemes)[number];
}

/** The first of each is the default. */
export const reloadMethods = ['POST', 'GET', 'PUT'] as const;
export const reloadSchemes = ['http', 'https'] as const;
const reloadFields = ['touch', 'http', 'signal'] as const;
const httpFields = ['port', 'path', 'method', 'scheme'];

/** @returns nothing when the attribute is absent or has faults */
export function* parseReload(text: string | undefined, faults: Fault[]): Steps<Reload | undefined> {
  const mapping = yield* parseMapping(text, 'reload', reloadFields, faults);
  if (mapping === undefined) {
    return undefined;
  }
  if (reloadFields.every((name) => (mapping.get(name) ?? undefined) === undefined)) {
    faults.push({ field: 'reload', message: `needs at least one of ${reloadFields.join(', ')}` });
    return undefined;
  }
  const touch = readTouch(readString(mapping, 'touch', 'reload', faults), faults);
  const http = readHttp(mapping.get('http') ?? undefined, faults);
  const signal = readSignal(mapping.get('signal') ?? undefined, faults);
  return {
    ...(touch === undefined ? {} : { touch }),
    ...(http === undefined ? {} : { http }),
    ...(signal === undefined ? {} : { signal }),
  };
}

/** What else the volume writes than the files of its sources. */
export function touchedPath(reload: Reload | undefined): readonly OutputPath[] {
  return reload?.touch === undefined ? [] : [{ field: 'reload.touch', path: reload.touch }];
}

/**
 * The file stays the same file from change to change, so that whoever watches it goes on seeing changes: it cannot lie in a directory of
 * the volume, which every change replaces.
 */
function readTouch(text: string | undefined, faults: Fault[]): string | undefined {
  if (text === undefined) {
    return undefined;
  }
  const checked = checkPath(text);
  if (!checked.ok) {
    faults.push({ field: 'reload.touch', message: checked.message });
    return undefined;
  }
  if (checked.path.includes('/')) {
    const message = `must be a name without "/", not ${quote(text)}: directories of the volume are replaced with each change`;
    faults.push({ field: 'reload.touch', message });
    return undefined;
  }
  return checked.path;
}

function readHttp(value: unknown, faults: Fault[]): HttpReload | undefined {
  const field = 'reload.http';
  const mapping = value === undefined ? undefined : readMapping(value, field, httpFields, faults);
  if (mapping === undefined) {
    return undefined;
  }
  const port = readPort(mapping, field, faults);
  const path = readString(mapping, 'path', field, faults);
  if (path === undefined || !isHttpPath(path)) {
    const message = `must be a path like "/-/reload" of at most ${maxReloadPathLength} printable ASCII characters without blanks and "#"`;
    faults.push({ field: `${field}.path`, message });
  }
  const method = readOneOf(mapping, 'method', field, reloadMethods, faults);
  const scheme = readOneOf(mapping, 'scheme', field, reloadSchemes, faults);
  return port === undefined || path === undefined ? undefined : { port, path, method, scheme };
}

function readSignal(value: unknown, faults: Fault[]): SignalReload | undefined {
  const field = 'reload.signal';
  const mapping = value === undefined ? undefined : readMapping(value, field, ['process', 'signal'], faults);
  if (mapping === undefined) {
    return undefined;
  }
  const process = readString(mapping, 'process', field, faults);
  if (process === undefined || !isProcessName(process)) {
    const message = `must be a process' name as \`ps -o comm\` shows it, like "nginx": at most ${maxProcessNameLength} printable ASCII characters without "/" and blanks`;
    faults.push({ field: `${field}.process`, message });
  }
  const signal = readOneOf(mapping, 'signal', field, reloadSignals, faults);
  return process === undefined ? undefined : { process, signal };
}

/** What may stand in a request line as it is: no blank or line end begins another header, and no "#" means nothing to a server. */
export function isHttpPath(text: string): boolean {
  return text.length <= maxReloadPathLength && /^\/[!$-~]*$/.test(text);
}

/** What the kernel keeps of a program's name. A path is no name: a file of the pod's is not read for its process ID. */
export function isProcessName(text: string): boolean {
  return text.length <= maxProcessNameLength && /^[!-.0-~]+$/.test(text);
}

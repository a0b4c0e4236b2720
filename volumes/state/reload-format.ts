/** What comes after a change of a volume's files, as its record holds it. It is checked again: what it names is written or asked as root. */
import { isPort } from '../declaration/attribute.ts';
import { maxProcessNameLength, maxReloadPathLength } from '../declaration/limits.ts';
import { checkPath } from '../declaration/paths.ts';
import { isServerName, type Probe } from '../declaration/probe.ts';
import {
  type HttpReload,
  isHttpPath,
  isProcessName,
  type Reload,
  reloadMethods,
  reloadSchemes,
  reloadSignals,
  type SignalReload,
} from '../declaration/reload.ts';
import { type Fields, id, part, text } from './json-fields.ts';
import { maxTextLengths } from './limits.ts';

/** @throws TypeError that says what is wrong. */
export function decodeReload(value: Fields): Reload {
  const { touch } = value;
  return {
    ...(touch === undefined ? {} : { touch: touchedName(touch) }),
    ...(value['http'] === undefined ? {} : { http: httpReload(part(value, 'http')) }),
    ...(value['signal'] === undefined ? {} : { signal: signalReload(part(value, 'signal')) }),
  };
}

/** @throws TypeError that says what is wrong. */
export function decodeProbe(value: Fields): Probe {
  const port = portIn(value);
  if (value['serverName'] === undefined) {
    return { port };
  }
  const serverName = text(value, 'serverName', maxTextLengths.name);
  if (!isServerName(serverName)) {
    throw new TypeError('probe.serverName is not a name');
  }
  return { port, serverName };
}

function touchedName(stored: unknown): string {
  if (typeof stored !== 'string' || !checkPath(stored).ok || stored.includes('/')) {
    throw new TypeError('reload.touch is not a name in the volume');
  }
  return stored;
}

function httpReload(value: Fields): HttpReload {
  const path = text(value, 'path', maxReloadPathLength);
  if (!isHttpPath(path)) {
    throw new TypeError('reload.http.path is not a path');
  }
  return {
    port: portIn(value),
    path,
    method: oneOf(value, 'method', reloadMethods),
    scheme: oneOf(value, 'scheme', reloadSchemes),
  };
}

function signalReload(value: Fields): SignalReload {
  const process = text(value, 'process', maxProcessNameLength);
  if (!isProcessName(process)) {
    throw new TypeError("reload.signal.process is no process' name");
  }
  return { process, signal: oneOf(value, 'signal', reloadSignals) };
}

function portIn(value: Fields): number {
  const port = id(value, 'port');
  if (!isPort(port)) {
    throw new TypeError('port is not a port');
  }
  return port;
}

function oneOf<Name extends string>(value: Fields, name: string, known: readonly Name[]): Name {
  const found = known.find((candidate) => candidate === value[name]);
  if (found === undefined) {
    throw new TypeError(`${name} is none of ${known.join(', ')}`);
  }
  return found;
}

/**
 * The kinds of values that an option may have. Each reads what was written on the command line (always text) or in the
 * configuration file (a YAML scalar), and says in one line what is wrong with it.
 */
import { isIP, isIPv4 } from 'node:net';
import { isAbsolute, normalize, resolve } from 'node:path';
import { parse } from 'yaml';
import { type AllowList, readAllowList } from '../issuance/allow-list.ts';
import { type IssuerRules, readIssuerRules } from '../issuance/issuer-rules.ts';

/** What a value was read as, or why it cannot be. */
export type Reading<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly fault: string };

/** A kind of value. */
export interface OptionType<T> {
  /** Placeholder in `--help`, such as `DURATION`; absent for a switch, which takes no value. */
  readonly placeholder?: string;
  /** What is accepted, for the reference. */
  readonly accepts: string;
  read(written: unknown): Reading<T>;
}

const read = <T>(value: T): Reading<T> => ({ ok: true, value });
const fault = (message: string): Reading<never> => ({ ok: false, fault: message });

/** A value as it is quoted in a fault; cut, since it may be a pasted file. */
function quoted(written: unknown): string {
  const text = JSON.stringify(written) ?? String(written);
  return text.length <= 80 ? text : `${text.slice(0, 79)}…`;
}

/** Text that a check accepts. In the file a number is not text: `nodeName: 007` would lose its zeros. */
function textType<T>(options: {
  readonly placeholder: string;
  readonly accepts: string;
  readonly parse: (text: string) => Reading<T>;
}): OptionType<T> {
  return {
    placeholder: options.placeholder,
    accepts: options.accepts,
    read: (written) =>
      typeof written === 'string' ? options.parse(written) : fault(`must be text, not ${quoted(written)}`),
  };
}

/** One of a fixed set of words. */
export function choice<const T extends string>(words: readonly T[]): OptionType<T> {
  const list = words.join(', ');
  return textType({
    placeholder: words.join('|'),
    accepts: `one of ${list}`,
    parse: (text) => {
      const word = words.find((candidate) => candidate === text);
      return word === undefined ? fault(`must be one of ${list}, not ${quoted(text)}`) : read(word);
    },
  });
}

/** On or off: a flag alone means on, `--flag=false` off; in the file true or false. */
export function toggle(): OptionType<boolean> {
  return {
    accepts: 'true or false',
    read: (written) => {
      if (written === true || written === 'true') {
        return read(true);
      }
      if (written === false || written === 'false') {
        return read(false);
      }
      return fault(`must be true or false, not ${quoted(written)}`);
    },
  };
}

/** A number within bounds, bounds included. */
export function quantity(bounds: {
  readonly min: number;
  readonly max: number;
  readonly whole: boolean;
}): OptionType<number> {
  const { min, max, whole } = bounds;
  const accepts = `a ${whole ? 'whole ' : ''}number from ${min} to ${max}`;
  return {
    placeholder: 'NUMBER',
    accepts,
    read: (written) => {
      const text = typeof written === 'number' ? String(written) : written;
      const value = typeof text === 'string' && /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
      const isFit = value >= min && value <= max && (!whole || Number.isInteger(value));
      return isFit ? read(value) : fault(`must be ${accepts}, not ${quoted(written)}`);
    },
  };
}

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** A length of time such as `90s`, `1.5m`, `1h30m`, as milliseconds. Without a unit nobody knows what 90 means. */
export function duration(bounds: { readonly min: string; readonly max: string }): OptionType<number> {
  const minMs = durationMs(bounds.min);
  const maxMs = durationMs(bounds.max);
  return {
    placeholder: 'DURATION',
    accepts: `a duration from ${bounds.min} to ${bounds.max}, such as 90s, 2m or 1h`,
    read: (written) => {
      const value = typeof written === 'string' ? durationMs(written) : Number.NaN;
      if (value >= minMs && value <= maxMs) {
        return read(value);
      }
      return fault(
        Number.isNaN(value)
          ? `must be a duration with its unit, such as 90s, 2m or 1h, not ${quoted(written)}`
          : `must be from ${bounds.min} to ${bounds.max}, not ${quoted(written)}`,
      );
    },
  };
}

/** NaN for what is no duration. */
function durationMs(text: string): number {
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) {
    return Number.NaN;
  }
  const parts = [...text.matchAll(/([\d.]+)(ms|s|m|h)/g)];
  return Math.round(parts.reduce((sum, [, count, unit]) => sum + Number(count) * (unitsMs[unit ?? ''] ?? 0), 0));
}

/** A file of the operator's; a relative path is taken from the working directory. Returned absolute. */
export function filePath(): OptionType<string> {
  return textType({
    placeholder: 'FILE',
    accepts: 'a path',
    parse: (text) =>
      text === '' || text.includes('\0') ? fault(`must be a path, not ${quoted(text)}`) : read(resolve(text)),
  });
}

/** A path on the node, the same for everyone: absolute. Returned without `.`, `..` and a slash at its end. */
export function nodePath(options?: { readonly maxBytes: number }): OptionType<string> {
  const maxBytes = options?.maxBytes;
  return textType({
    placeholder: 'PATH',
    accepts: maxBytes === undefined ? 'an absolute path' : `an absolute path of at most ${maxBytes} bytes`,
    parse: (text) => {
      if (!isAbsolute(text) || text.includes('\0')) {
        return fault(`must be an absolute path, not ${quoted(text)}`);
      }
      const path = normalize(text).replace(/(?<=.)\/+$/, '');
      return maxBytes !== undefined && Buffer.byteLength(path) > maxBytes
        ? fault(`must be at most ${maxBytes} bytes long, and is ${Buffer.byteLength(path)}: ${quoted(text)}`)
        : read(path);
    },
  });
}

/** A DNS subdomain name (RFC 1123), as Kubernetes wants it for nodes and, of 63 characters at most, for CSI drivers. */
export function subdomain(options: { readonly maxLength: number }): OptionType<string> {
  const { maxLength } = options;
  const accepts = `a DNS subdomain name of at most ${maxLength} characters`;
  return textType({
    placeholder: 'NAME',
    accepts,
    parse: (text) =>
      text.length <= maxLength && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(text)
        ? read(text)
        : fault(`must be ${accepts} (lower-case letters, digits, "-" and "."), not ${quoted(text)}`),
  });
}

const domain = '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*';
const taintKeyPattern = new RegExp(`^(?=.{1,253}/)${domain}/[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?$`);
/** Taints of Kubernetes' own say that a node must not be used, and are not the agent's to take off. */
const kubernetesDomain = /(^|\.)(kubernetes|k8s)\.io\//;

/** The key of a taint, with the domain of whoever uses it, or nothing. */
export function taintKey(): OptionType<string | undefined> {
  return textType({
    placeholder: 'KEY',
    accepts: 'a key with a domain that is not of Kubernetes, such as podcert.io/agent-not-ready, or nothing',
    parse: (text) => {
      if (text === '') {
        return read(undefined);
      }
      return taintKeyPattern.test(text) && !kubernetesDomain.test(text)
        ? read(text)
        : fault(
            `must be a key with a domain that is not of Kubernetes, such as podcert.io/agent-not-ready, not ${quoted(text)}`,
          );
    },
  });
}

/** Rules that say which namespaces may ask which signers: a YAML list, on the command line as text. */
export function allowList(): OptionType<AllowList> {
  return {
    placeholder: 'RULES',
    accepts: 'a list of { namespaces: […], signers: […] }',
    read: (written) => readAllowList(typeof written === 'string' ? yamlOf(written) : written),
  };
}

/** Rules that say which certificate API a signer is asked through. */
export function issuerRules(): OptionType<IssuerRules> {
  return {
    placeholder: 'RULES',
    accepts:
      'a list of { signers: […], namespaces: […], as: agent or pod, and one of podCertificateRequest, certificateSigningRequest, certManager }',
    read: (written) => readIssuerRules(typeof written === 'string' ? yamlOf(written) : written),
  };
}

/** Undefined for what is no YAML. */
function yamlOf(text: string): unknown {
  try {
    return parse(text, { maxAliasCount: 0 });
  } catch {
    return undefined;
  }
}

/** Where to listen. */
export interface ListenAddress {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
}

/** An IP address with port, or nothing for "do not listen". No name, `localhost` included: a resolver says where it leads. */
export function listenAddress(): OptionType<ListenAddress | undefined> {
  return textType({
    placeholder: 'HOST:PORT',
    accepts: 'an IP address with port, such as 127.0.0.1:9808 or [::1]:9808, or nothing',
    parse: (text) => {
      if (text === '') {
        return read(undefined);
      }
      const [, ipv6, ipv4, port] = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text) ?? [];
      const host = ipv6 ?? ipv4 ?? '';
      const isAddress = ipv6 === undefined ? isIPv4(host) : isIP(ipv6) === 6;
      return isAddress && Number(port) <= 65_535
        ? read({ host, port: Number(port) })
        : fault(`must be an IP address with port, such as 127.0.0.1:9808, not ${quoted(text)}`);
    },
  });
}

/** A loopback address with port, or nothing. */
export function loopbackAddress(): OptionType<ListenAddress | undefined> {
  const address = listenAddress();
  return {
    placeholder: 'HOST:PORT',
    accepts: 'a loopback address with port, such as 127.0.0.1:9809, or nothing',
    read: (written) => {
      const reading = address.read(written);
      const host = reading.ok ? (reading.value?.host ?? '::1') : '::1';
      const isLoopback = host === '::1' || host.startsWith('127.');
      return isLoopback ? reading : fault(`must be a loopback address, such as 127.0.0.1:9809, not ${quoted(written)}`);
    },
  };
}

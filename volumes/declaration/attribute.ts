/** Reads what stands beside `sources` as YAML text of its own: small mappings. */
import type { Steps } from '../base/steps.ts';
import { type Fault, type Mapping, readInteger, readMapping } from './fields.ts';
import { maxAttributeBytes } from './limits.ts';
import { readYamlInSteps } from './yaml.ts';

/** An attribute's text as a mapping with no other fields than `known`; nothing when it is absent or has faults. */
export function* parseMapping(
  text: string | undefined,
  name: string,
  known: readonly string[],
  faults: Fault[],
): Steps<Mapping | undefined> {
  if (text === undefined) {
    return undefined;
  }
  if (Buffer.byteLength(text) > maxAttributeBytes) {
    faults.push({ field: name, message: `must be at most ${maxAttributeBytes} bytes of YAML` });
    return undefined;
  }
  const yaml = yield* readYamlInSteps(text);
  if (!yaml.ok) {
    faults.push({ field: name, message: yaml.message });
    return undefined;
  }
  return readMapping(yaml.value, name, known, faults);
}

/** A TCP port of the pod; required. */
export function readPort(mapping: Mapping, field: string, faults: Fault[]): number | undefined {
  const port = readInteger(mapping, 'port', field, faults);
  if (port !== undefined && isPort(port)) {
    return port;
  }
  // One that is no number at all has its fault already.
  if (port !== undefined || (mapping.get('port') ?? undefined) === undefined) {
    faults.push({ field: `${field}.port`, message: 'must be a port of the pod, from 1 to 65535' });
  }
  return undefined;
}

export function isPort(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= 65_535;
}

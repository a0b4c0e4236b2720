/**
 * Reads `reload`: how programs of the pod are told that the volume's files have changed. It stands beside `sources` and is YAML text like
 * them. No field of it can name anything but the pod itself.
 */
import type { Steps } from '../base/steps.ts';
import { type Fault, quote, readMapping, readString } from './fields.ts';
import { maxReloadBytes } from './limits.ts';
import { checkPath, type OutputPath } from './paths.ts';
import { readYamlInSteps } from './yaml.ts';

/** How programs of the pod are told of new files; at least one is set. */
export interface Reload {
  /** A file at the volume's top that names the set of files in place, and is written anew after each change. */
  readonly touch?: string;
}

const reloadFields = ['touch'] as const;

/** @returns nothing when the attribute is absent or has faults */
export function* parseReload(text: string | undefined, faults: Fault[]): Steps<Reload | undefined> {
  if (text === undefined) {
    return undefined;
  }
  if (Buffer.byteLength(text) > maxReloadBytes) {
    faults.push({ field: 'reload', message: `must be at most ${maxReloadBytes} bytes of YAML` });
    return undefined;
  }
  const yaml = yield* readYamlInSteps(text);
  if (!yaml.ok) {
    faults.push({ field: 'reload', message: yaml.message });
    return undefined;
  }
  const mapping = readMapping(yaml.value, 'reload', reloadFields, faults);
  if (mapping === undefined) {
    return undefined;
  }
  if (reloadFields.every((name) => (mapping.get(name) ?? undefined) === undefined)) {
    faults.push({ field: 'reload', message: `needs at least one of ${reloadFields.join(', ')}` });
    return undefined;
  }
  const touch = readTouch(readString(mapping, 'touch', 'reload', faults), faults);
  return { ...(touch === undefined ? {} : { touch }) };
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

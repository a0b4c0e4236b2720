/**
 * What a volume asks for: the `sources` block of a pod's inline CSI volume, in the form that Kubernetes' projected
 * volumes use, so that a block can be moved between the two unchanged.
 *
 * https://kubernetes.io/docs/concepts/storage/projected-volumes/
 */
import { createHash } from 'node:crypto';
import { atOnce, createWorker, type Steps } from '../base/steps.ts';
import { isForOthers, modeIn, octal, readDefaultUser } from './access.ts';
import { readClusterTrustBundle } from './cluster-trust-bundle.ts';
import { type Fault, quote, readMapping } from './fields.ts';
import { findTooManyKeystores } from './keystore.ts';
import { maxSources, maxTrustDomainSources, maxVerdicts } from './limits.ts';
import { findCollisions, type OutputPath } from './paths.ts';
import { hasKeyFile, readPodCertificate } from './pod-certificate.ts';
import { checkProbe, parseProbe } from './probe.ts';
import { parseReload, touchedPath } from './reload.ts';
import type { Source, VolumeDeclaration } from './types.ts';
import { readYamlInSteps } from './yaml.ts';

/** What a volume asks for, or everything that is wrong with it. */
export type Verdict =
  | { readonly ok: true; readonly declaration: VolumeDeclaration }
  | { readonly ok: false; readonly faults: readonly Fault[] };

/** What the kubelet adds to the pod's own attributes (`podInfoOnMount`, token requests). */
const kubeletAttributePrefix = 'csi.storage.k8s.io/';
/** The attributes of a volume. */
const attributes = ['sources', 'defaultMode', 'defaultUser', 'reload', 'probe'];

/** Attributes of which it is said that they are unknown; whoever has more finds the others then. */
const mostUnknownNamed = 8;

/** `parseDeclarationInSteps` at once, where nobody waits beside it. */
export function parseDeclaration(volumeAttributes: Readonly<Record<string, string>>): Verdict {
  return atOnce(parseDeclarationInSteps(volumeAttributes));
}

/**
 * Reads the `volumeAttributes` of a pod's `csi` volume: `sources` (YAML text), `defaultMode` (octal with a leading 0,
 * or decimal as in JSON, 0 … 0777), `defaultUser` (a user ID) `reload` and `probe` (YAML text). Attributes that the
 * kubelet adds are left alone.
 *
 * @returns the declaration, or every fault found, each with the field's path and what to write instead.
 */
export function* parseDeclarationInSteps(volumeAttributes: Readonly<Record<string, string>>): Steps<Verdict> {
  const faults: Fault[] = [];
  const isUnknown = (name: string): boolean => !attributes.includes(name) && !name.startsWith(kubeletAttributePrefix);
  for (const name of Object.keys(volumeAttributes).filter(isUnknown).slice(0, mostUnknownNamed)) {
    const message = `unknown attribute ${quote(name)}, known are ${attributes.join(', ')}`;
    faults.push({ field: 'volumeAttributes', message });
  }
  const reload = yield* parseReload(volumeAttributes['reload'], faults);
  const sources = yield* parseSources(volumeAttributes['sources'], touchedPath(reload), faults);
  const probe = yield* parseProbe(volumeAttributes['probe'], faults);
  checkProbe(probe, sources, faults);
  const defaultMode = parseMode(volumeAttributes['defaultMode'], sources, faults);
  const defaultUser = readDefaultUser(volumeAttributes['defaultUser'], faults);
  if (faults.length > 0) {
    return { ok: false, faults };
  }
  const defaults = {
    ...(defaultMode === undefined ? {} : { defaultMode }),
    ...(defaultUser === undefined ? {} : { defaultUser }),
    ...(reload === undefined ? {} : { reload }),
    ...(probe === undefined ? {} : { probe }),
  };
  return { ok: true, declaration: { sources, ...defaults } };
}

/**
 * `parseDeclaration`, a few milliseconds in each turn of the event loop, with a memory for the last verdicts: the kubelet repeats a
 * call every few seconds to minutes, and what was refused once is refused again without being read.
 */
export function createDeclarationReader(): (volumeAttributes: Readonly<Record<string, string>>) => Promise<Verdict> {
  const worker = createWorker();
  const verdicts = new Map<string, Promise<Verdict>>();
  return (volumeAttributes) => {
    const own = Object.entries(volumeAttributes).filter(([name]) => !name.startsWith(kubeletAttributePrefix));
    const key = createHash('sha256').update(JSON.stringify(own)).digest('base64');
    const verdict = verdicts.get(key) ?? worker.carryOut(parseDeclarationInSteps(volumeAttributes), () => undefined);
    verdicts.delete(key);
    verdicts.set(key, verdict);
    const [oldest] = verdicts.keys();
    if (verdicts.size > maxVerdicts && oldest !== undefined) {
      verdicts.delete(oldest);
    }
    return verdict;
  };
}

/** All faults as one line, cut to what an event and a gRPC status can carry. */
export function describeFaults(faults: readonly Fault[]): string {
  const shown = faults.slice(0, 20).map((fault) => `${fault.field}: ${fault.message}`);
  const more = faults.length - shown.length;
  return [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
}

/** @param taken paths that something else of the volume writes */
function* parseSources(
  text: string | undefined,
  taken: readonly OutputPath[],
  faults: Fault[],
): Steps<readonly Source[]> {
  const refuse = (message: string): readonly Source[] => {
    faults.push({ field: 'sources', message });
    return [];
  };
  if (text === undefined) {
    return refuse('is required: YAML text with a list of sources');
  }
  const yaml = yield* readYamlInSteps(text);
  if (!yaml.ok) {
    return refuse(yaml.message);
  }
  if (!Array.isArray(yaml.value)) {
    return refuse('must be a YAML list of podCertificate and clusterTrustBundle sources');
  }
  if (yaml.value.length === 0) {
    return refuse('must hold at least one source');
  }
  if (yaml.value.length > maxSources) {
    return refuse(`must hold at most ${maxSources} sources, not ${yaml.value.length}`);
  }
  const outputs: OutputPath[] = [...taken];
  const sources: Source[] = [];
  for (const [index, entry] of yaml.value.entries()) {
    const source = readSource(entry, index, outputs, faults);
    if (source !== undefined) {
      sources.push(source);
    }
    yield;
  }
  refuseManyTrustDomains(sources, faults);
  faults.push(...findCollisions(outputs), ...findTooManyKeystores(sources));
  return sources;
}

function refuseManyTrustDomains(sources: readonly Source[], faults: Fault[]): void {
  const apart = sources.filter((source) => source.kind === 'clusterTrustBundle' && source.trustDomains !== undefined);
  if (apart.length > maxTrustDomainSources) {
    const message = `must hold at most ${maxTrustDomainSources} sources that keep trust domains apart, not ${apart.length}`;
    faults.push({ field: 'sources', message });
  }
}

function readSource(entry: unknown, index: number, outputs: OutputPath[], faults: Fault[]): Source | undefined {
  const path = `sources[${index}]`;
  const mapping = readMapping(entry, path, ['podCertificate', 'clusterTrustBundle'], faults);
  if (mapping === undefined) {
    return undefined;
  }
  const certificate = mapping.get('podCertificate') ?? undefined;
  const bundle = mapping.get('clusterTrustBundle') ?? undefined;
  if ((certificate === undefined) === (bundle === undefined)) {
    faults.push({ field: path, message: 'must be exactly one of podCertificate and clusterTrustBundle' });
  }
  const read = [
    certificate === undefined
      ? undefined
      : readPodCertificate(certificate, index, `${path}.podCertificate`, outputs, faults),
    bundle === undefined
      ? undefined
      : readClusterTrustBundle(bundle, index, `${path}.clusterTrustBundle`, outputs, faults),
  ];
  return read.find((source) => source !== undefined);
}

function parseMode(text: string | undefined, sources: readonly Source[], faults: Fault[]): number | undefined {
  if (text === undefined) {
    return undefined;
  }
  const mode = modeIn(text, 'defaultMode', faults);
  if (mode === undefined) {
    return undefined;
  }
  const keys = sources.filter((source) => source.kind === 'podCertificate' && hasKeyFile(source));
  if (isForOthers(mode) && keys.length > 0) {
    const where = keys.map((source) => `sources[${source.index}]`).join(', ');
    const message = `${octal(mode)} would let everybody read the private key of ${where}, write "0440" or tighter, or leave it out`;
    faults.push({ field: 'defaultMode', message });
  }
  return mode;
}

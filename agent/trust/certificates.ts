/**
 * The certificates in a ClusterTrustBundle: `CERTIFICATE` blocks of PEM, with text allowed around them.
 *
 * https://www.rfc-editor.org/rfc/rfc7468 https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#cluster-trust-bundles
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Steps } from '../../volumes/base/steps.ts';
import { bodyFields, contentOf, elementsOf, withoutVersion } from '../base/der.ts';
import { certificateBlockSteps } from '../base/pem.ts';
import { certificatesPerTurn } from './limits.ts';

/**
 * Reads a bundle, over several turns of the event loop where it is long. Text that is no block is dropped, and so are
 * headers within blocks.
 * @param pem `spec.trustBundle`.
 * @returns DER certificates in the bundle's order, possibly some twice.
 * @throws Error that names the block at fault, by its position from 1, and never quotes it.
 */
export async function readTrustBundle(pem: string): Promise<Uint8Array[]> {
  const certificates: Uint8Array[] = [];
  let steps = 0;
  // The turn that brought the text has parsed it.
  await nextTurn();
  for (const der of certificateBlockSteps(pem)) {
    steps += 1;
    if (steps % certificatesPerTurn === 0) {
      await nextTurn();
    }
    if (der === undefined) {
      continue;
    }
    certificates.push(der);
    if (!isCertificate(der)) {
      throw new Error(`block ${certificates.length} is not an X.509 certificate`);
    }
  }
  if (certificates.length === 0) {
    throw new Error('it holds no certificate');
  }
  return certificates;
}

/** The fields of a certificate to its public key: serial number, algorithm, issuer, validity, subject, key. */
const fields = [0x02, 0x30, 0x30, 0x30, 0x30, 0x30];

/**
 * True for bytes in the shape of one X.509 certificate, whole. The API server has parsed it; to parse it once more with
 * OpenSSL would leave an object outside of the heap for each, which, with tens of thousands of them, stops the process
 * for most of a second when they are collected.
 */
function isCertificate(der: Uint8Array): boolean {
  try {
    const [certificate, ...following] = elementsOf(der, 2);
    const [body, algorithm, signature, ...rest] = elementsOf(contentOf(certificate), 4);
    const tags = withoutVersion(bodyFields(contentOf(body))).map(({ tag }) => tag);
    const shape = [certificate, body, algorithm, signature].map((element) => element?.tag);
    return (
      following.length === 0 &&
      rest.length === 0 &&
      shape.every((tag, index) => tag === [0x30, 0x30, 0x30, 0x03][index]) &&
      fields.every((tag, index) => tag === tags[index])
    );
  } catch (fault) {
    if (fault instanceof RangeError) {
      return false;
    }
    throw fault;
  }
}

/** Certificates that are sorted or merged in one step: a fraction of a millisecond. */
const certificatesPerStep = 128;

/**
 * Certificates each once, ordered by their bytes, so that the same set gives the same file. In steps: of small ones twenty thousand fit
 * into what one source may have, and sorting them at once would hold the event loop up.
 */
export function* sortCertificates(certificates: ReadonlySet<Uint8Array>): Steps<Uint8Array[]> {
  let runs: Uint8Array[][] = [];
  const all = [...certificates];
  for (let from = 0; from < all.length; from += certificatesPerStep) {
    runs.push(all.slice(from, from + certificatesPerStep).sort(Buffer.compare));
    yield;
  }
  while (runs.length > 1) {
    const longer: Uint8Array[][] = [];
    for (let index = 0; index < runs.length; index += 2) {
      longer.push(yield* merge(runs[index] ?? [], runs[index + 1] ?? []));
    }
    runs = longer;
  }
  return withoutRepetitions(runs[0] ?? []);
}

function* merge(one: readonly Uint8Array[], other: readonly Uint8Array[]): Steps<Uint8Array[]> {
  const merged: Uint8Array[] = [];
  let [ofOne, ofOther] = [0, 0];
  for (;;) {
    const [first, second] = [one[ofOne], other[ofOther]];
    if (first === undefined || second === undefined) {
      return merged.concat(one.slice(ofOne), other.slice(ofOther));
    }
    if (Buffer.compare(first, second) <= 0) {
      merged.push(first);
      ofOne += 1;
    } else {
      merged.push(second);
      ofOther += 1;
    }
    if (merged.length % certificatesPerStep === 0) {
      yield;
    }
  }
}

/** Different arrays may hold the same bytes. */
function withoutRepetitions(sorted: readonly Uint8Array[]): Uint8Array[] {
  return sorted.filter((certificate, index) => {
    const before = sorted[index - 1];
    return before === undefined || Buffer.compare(before, certificate) !== 0;
  });
}

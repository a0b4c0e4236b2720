/**
 * What a volume of this driver is meant to hold, as its own record says, where whoever looks may read that (root on the node or in
 * the agent's container). It tells a signer's own trust anchors from those of a peer's, which no certificate here need lead to.
 */
import { join } from 'node:path';
import { maxStateBytes } from '../../volumes/state/limits.ts';
import { openRegular } from './bounded-reading.ts';
import { fieldsOf, placeIn } from './bundle-map.ts';

export interface Declared {
  /** Every file that is asked for. */
  readonly paths: readonly string[];
  /** The anchors of the signer whose certificate lies in this file; undefined: it is none of a certificate. */
  ownAnchors(path: string): readonly string[] | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

/** Undefined where there is no record, or none that can be read. */
export function readDeclared(directory: string): Declared | undefined {
  try {
    const { bytes } = openRegular(join(directory, '..agent', 'volume.json'), maxStateBytes);
    const document: unknown = JSON.parse(bytes?.toString('utf8') ?? '');
    const sources = fieldsOf(fieldsOf(fieldsOf(document)['record'])['declaration'])['sources'];
    return Array.isArray(sources) ? declared(sources.map(fieldsOf)) : undefined;
  } catch {
    // The record serves to say more; the agent itself says what is wrong with one.
    return undefined;
  }
}

function declared(sources: readonly Fields[]): Declared {
  const certificates = sources.filter(({ kind }) => kind === 'podCertificate');
  const bundles = sources.filter(({ kind }) => kind === 'clusterTrustBundle');
  return {
    paths: sources.filter(isNeeded).flatMap(pathsOf),
    ownAnchors(path) {
      const source = certificates.find((candidate) => pathsOf(candidate).includes(path));
      const signerName = source?.['signerName'];
      if (source === undefined || typeof signerName !== 'string') {
        return undefined;
      }
      const ofSigner = bundles.filter((bundle) => isOf(signerName, fieldsOf(bundle['select'])));
      const anchors = [
        ...[source, ...ofSigner].flatMap((each) => [each['caPath'], each['truststorePath']]),
        ...ofSigner.map(anchorsIn),
      ];
      return anchors.filter((each) => typeof each === 'string');
    },
  };
}

/** Where a bundle's anchors for the pod's own trust domain are. */
function anchorsIn({ path, trustDomains }: Fields): unknown {
  const { as, own } = fieldsOf(trustDomains);
  return as === 'bundleMap' ? placeIn(String(path), String(own)) : path;
}

/** A source that keeps trust domains apart may go without a file of its own one. */
function isNeeded({ trustDomains }: Fields): boolean {
  const { as, needsOwn } = fieldsOf(trustDomains);
  return as === 'bundleMap' || needsOwn !== false;
}

/** A bundle of the signer, or one whose name begins with the signer's, as the names of such bundles do. */
function isOf(signerName: string, { signerName: selected, name }: Fields): boolean {
  return selected === signerName || String(name).startsWith(`${signerName.replace('/', ':')}:`);
}

function pathsOf(source: Fields): readonly string[] {
  return Object.entries(source).flatMap(([name, value]) =>
    (name === 'path' || name.endsWith('Path')) && typeof value === 'string' ? [value] : [],
  );
}

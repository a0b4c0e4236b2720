/**
 * What is in a release, as an SPDX document: the packages that the bundle holds code of, and for the images Node.js, koffi and Debian's
 * packages. Packages that only tests or the build need are not in it.
 *
 * https://spdx.github.io/spdx-spec/v2.3/
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import lock from '../../package-lock.json' with { type: 'json' };
import { type Architecture, architectures } from './images.ts';
import { koffiPackage, nodePackage } from './node-program.ts';
import type { NpmPackage } from './npm-packages.ts';
import { lockedPackages, suite } from './system-packages.ts';
import type { Version } from './version.ts';

const root = join(import.meta.dirname, '../..');
const name = 'pod-certificate-agent';
const self = `SPDXRef-${name}`;

/** A package of SPDX; fields that hold for all of them are added when the document is made. */
interface Entry {
  readonly SPDXID: string;
  readonly name: string;
  readonly versionInfo: string;
  readonly licenseDeclared: string;
  readonly checksums: readonly { readonly algorithm: string; readonly checksumValue: string }[];
  readonly externalRefs: readonly {
    readonly referenceCategory: string;
    readonly referenceType: string;
    readonly referenceLocator: string;
  }[];
}

/**
 * The document, as JSON that is the same for the same release.
 * @param directories of the packages in the bundle, from the root
 * @param withImages whether the release has images
 */
export function sbom(release: Version, directories: readonly string[], withImages: boolean): string {
  const { version, revision, epoch } = release;
  const parts = [...directories.map(npmEntry), ...(withImages ? architectures.flatMap(imageEntries) : [])];
  const document = {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: `${name}-${version}`,
    documentNamespace: `https://spdx.org/spdxdocs/${name}-${version}-${revision}`,
    creationInfo: {
      created: new Date(epoch * 1000).toISOString().replace('.000Z', 'Z'),
      creators: [`Tool: ${name}-release-${version}`],
    },
    packages: [ownEntry(version), ...parts].map((entry) => ({
      ...entry,
      downloadLocation: 'NOASSERTION',
      filesAnalyzed: false,
      licenseConcluded: 'NOASSERTION',
      copyrightText: 'NOASSERTION',
    })),
    relationships: [
      { spdxElementId: 'SPDXRef-DOCUMENT', relationshipType: 'DESCRIBES', relatedSpdxElement: self },
      ...parts.map(({ SPDXID }) => ({ spdxElementId: self, relationshipType: 'CONTAINS', relatedSpdxElement: SPDXID })),
    ],
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

function ownEntry(version: string): Entry {
  return { SPDXID: self, name, versionInfo: version, licenseDeclared: 'Apache-2.0', checksums: [], externalRefs: [] };
}

function npmEntry(directory: string): Entry {
  const path = join(root, directory, 'package.json');
  const { name: module, version, license }: Record<string, unknown> = JSON.parse(readFileSync(path, 'utf8'));
  const locked: unknown = Reflect.get(lock.packages, directory);
  const integrity: unknown = Reflect.get(Object(locked), 'integrity');
  return {
    SPDXID: idOf('npm', String(module), String(version)),
    name: String(module),
    versionInfo: String(version),
    licenseDeclared: typeof license === 'string' ? license : 'NOASSERTION',
    checksums: typeof integrity === 'string' ? [sha512Of(integrity)] : [],
    externalRefs: [purl(`pkg:npm/${String(module).replace('@', '%40')}@${String(version)}`)],
  };
}

/** What an image holds beside the bundle. */
function imageEntries(architecture: Architecture): readonly Entry[] {
  const node = nodePackage(architecture);
  const cpe = {
    referenceCategory: 'SECURITY',
    referenceType: 'cpe23Type',
    referenceLocator: `cpe:2.3:a:nodejs:node.js:${node.version}:*:*:*:*:*:*:*`,
  };
  const debian = lockedPackages(architecture).map((entry) => ({
    SPDXID: idOf('deb', entry.name, `${entry.version}-${architecture}`),
    name: entry.name,
    versionInfo: entry.version,
    licenseDeclared: 'NOASSERTION',
    checksums: [{ algorithm: 'SHA256', checksumValue: entry.sha256 }],
    externalRefs: [
      purl(
        `pkg:deb/debian/${encodeURIComponent(entry.name)}@${encodeURIComponent(entry.version)}?arch=${architecture}&distro=${suite}`,
      ),
    ],
  }));
  return [prebuiltEntry(node, [cpe]), prebuiltEntry(koffiPackage(architecture), []), ...debian];
}

/** A package of npm's that is for one processor, and of which no code is in the bundle. */
function prebuiltEntry(entry: NpmPackage, references: Entry['externalRefs']): Entry {
  const { name: module, version, license, integrity } = entry;
  return {
    SPDXID: idOf('npm', module, version),
    name: module,
    versionInfo: version,
    licenseDeclared: license,
    checksums: [sha512Of(integrity)],
    externalRefs: [purl(`pkg:npm/${module.replace('@', '%40')}@${version}`), ...references],
  };
}

/** SPDX allows letters, digits, dots and hyphens. */
function idOf(...parts: readonly string[]): string {
  return `SPDXRef-${parts.join('-').replace(/[^A-Za-z0-9.-]/g, '-')}`;
}

function sha512Of(integrity: string) {
  const value = Buffer.from(integrity.replace(/^sha512-/, ''), 'base64').toString('hex');
  return { algorithm: 'SHA512', checksumValue: value };
}

function purl(locator: string) {
  return { referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: locator };
}

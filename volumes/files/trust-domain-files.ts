/**
 * The files of a source that keeps trust domains apart. They come and go with the trust domains, so that the present ones are known by
 * their names: all in the folder of the pod's own one whose names end as its name does. A file holds the anchors of one trust domain; a
 * bundle map, which is one file for all, holds them under their names.
 */

import type { Steps } from '../base/steps.ts';
import type { SourceContent } from '../base/volume.ts';
import { isTrustDomain } from '../declaration/trust-domain.ts';
import type { ClusterTrustBundleSource, Source, TrustDomains } from '../declaration/types.ts';
import { bundleMapInSteps } from './bundle-map.ts';
import type { LayoutTools, ProjectedFile } from './layout.ts';

export type ApartSource = ClusterTrustBundleSource & { readonly trustDomains: TrustDomains };

export function isApart(source: Source): source is ApartSource {
  return source.kind === 'clusterTrustBundle' && source.trustDomains !== undefined;
}

/** Where the anchors of a trust domain go. */
export function fileOf({ path, trustDomains: { own, as } }: ApartSource, trustDomain: string): string {
  const start = path.lastIndexOf('/') + 1;
  return as === 'bundleMap' ? path : `${path.slice(0, start)}${trustDomain}${path.slice(start + own.length)}`;
}

/** True for each path that `fileOf` may give. */
export function isFileOf(source: ApartSource, file: string): boolean {
  const { path, trustDomains } = source;
  if (trustDomains.as === 'bundleMap') {
    return file === path;
  }
  const start = path.lastIndexOf('/') + 1;
  const end = file.length - (path.length - start - trustDomains.own.length);
  return isTrustDomain(file.slice(start, Math.max(start, end))) && fileOf(source, file.slice(start, end)) === file;
}

/** Files that have to be there for the source to be whole. */
export function neededFiles({ path, trustDomains: { as, needsOwn } }: ApartSource): readonly string[] {
  return as === 'bundleMap' || needsOwn ? [path] : [];
}

type Content = SourceContent & { readonly kind: 'trustAnchors' };

/** Files that stay as they are beside those that are written: their anchors are not known now. */
export function keptFiles(source: ApartSource, { byTrustDomain = [] }: Content): readonly string[] {
  return source.trustDomains.as === 'bundleMap'
    ? []
    : byTrustDomain
        .filter(({ certificates }) => certificates === undefined)
        .map(({ trustDomain }) => fileOf(source, trustDomain));
}

/** @throws TypeError when the content does not keep trust domains apart, or names one that is none */
export function* layOutApart(
  source: ApartSource,
  content: SourceContent,
  { access, contentOf }: Pick<LayoutTools, 'access' | 'contentOf'>,
): Steps<readonly ProjectedFile[]> {
  const { byTrustDomain } = content.kind === 'trustAnchors' ? content : {};
  // Their names become paths, which are written as root.
  if (byTrustDomain === undefined || !byTrustDomain.every(({ trustDomain }) => isTrustDomain(trustDomain))) {
    throw new TypeError(`source ${source.index} holds trust anchors by trust domain only`);
  }
  const { other } = access.files(source);
  if (source.trustDomains.as === 'bundleMap') {
    return [{ path: source.path, content: yield* bundleMapInSteps(byTrustDomain), ...other }];
  }
  const files: ProjectedFile[] = [];
  for (const { trustDomain, certificates } of byTrustDomain) {
    if (certificates !== undefined) {
      files.push({ path: fileOf(source, trustDomain), content: contentOf(certificates), ...other });
    }
    yield;
  }
  return files;
}

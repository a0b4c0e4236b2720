/** Which file belongs to which trust domain: by its name alone, both ways, since a name is all that the next run of the agent finds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atOnce } from '../../../volumes/base/steps.ts';
import type { SourceContent, TrustDomainAnchors } from '../../../volumes/base/volume.ts';
import { createCertificatesContents } from '../../../volumes/files/content.ts';
import { type ProjectedFile, volumeAccess } from '../../../volumes/files/layout.ts';
import {
  type ApartSource,
  fileOf,
  isApart,
  isFileOf,
  keptFiles,
  layOutApart,
  neededFiles,
} from '../../../volumes/files/trust-domain-files.ts';
import { anchorsSource, certificateSource } from '../support.ts';

function apart(path: string, as: 'filePerTrustDomain' | 'bundleMap' = 'filePerTrustDomain', needsOwn = true) {
  const trustDomains = { own: 'a.example', canarying: 'live', as, needsOwn } as const;
  return { ...anchorsSource, path, trustDomains } satisfies ApartSource;
}

const inFolder = apart('mesh/a.example.pem');
const atTop = apart('a.example.pem');
const map = apart('mesh/map.json', 'bundleMap');
const anchor = Uint8Array.of(48, 0);

function content(byTrustDomain: readonly TrustDomainAnchors[]) {
  return { kind: 'trustAnchors', certificates: [], byTrustDomain } as const;
}

function layOut(source: ApartSource, given: SourceContent): readonly ProjectedFile[] {
  const access = volumeAccess({ sources: [source] }, { kind: 'none' }, true);
  return atOnce(layOutApart(source, given, { access, contentOf: createCertificatesContents() }));
}

test('a source keeps trust domains apart when it says so, and a certificate never does', () => {
  assert.deepEqual([inFolder, anchorsSource, certificateSource].map(isApart), [true, false, false]);
});

test("a trust domain's file is named as the pod's own one, and known again by that name", () => {
  for (const [source, trustDomain, file] of [
    [inFolder, 'a.example', 'mesh/a.example.pem'],
    [inFolder, 'b', 'mesh/b.pem'],
    [inFolder, 'longer.than.own', 'mesh/longer.than.own.pem'],
    [atTop, 'b', 'b.pem'],
    [apart('x/y/a.example.pem'), 'b', 'x/y/b.pem'],
    [map, 'b', 'mesh/map.json'],
  ] as const) {
    assert.equal(fileOf(source, trustDomain), file);
    assert.ok(isFileOf(source, file), file);
  }
});

test("a map is known by its name, whatever the pod's own trust domain is called", () => {
  for (let length = 1; length <= 63; length += 1) {
    const source = apart('mesh/trust_bundles.json', 'bundleMap');
    const named = { ...source, trustDomains: { ...source.trustDomains, own: 'a'.repeat(length) } };
    assert.ok(isFileOf(named, 'mesh/trust_bundles.json'), `${length} characters`);
  }
});

test('no file is taken for one of a source that only resembles it', () => {
  for (const [source, file] of [
    [inFolder, 'b.pem'],
    [inFolder, 'mesh/.pem'],
    [inFolder, 'mesh/pem'],
    [inFolder, 'mesh/b/c.pem'],
    [inFolder, 'mesh/B.pem'],
    [inFolder, 'mesh/b.pen'],
    [inFolder, 'mesh/b.pem.'],
    [inFolder, 'mess/b.pem'],
    [inFolder, 'mesh'],
    [inFolder, ''],
    [atTop, 'mesh/b.pem'],
    [atTop, '.pem'],
    [atTop, 'x.pem'.repeat(20)],
    [map, 'mesh/map.jso'],
    [map, 'map.json'],
  ] as const) {
    assert.equal(isFileOf(source, file), false, file);
  }
});

test("a source is whole without the pod's own trust domain only where it says so, and a map is one file in any case", () => {
  assert.deepEqual(neededFiles(inFolder), ['mesh/a.example.pem']);
  assert.deepEqual(neededFiles(apart('mesh/a.example.pem', 'filePerTrustDomain', false)), []);
  assert.deepEqual(neededFiles(apart('mesh/map.json', 'bundleMap', false)), ['mesh/map.json']);
});

test('anchors that are not known now keep their file, known ones are written anew, and a map is always written', () => {
  const given = content([{ trustDomain: 'a.example', certificates: [anchor] }, { trustDomain: 'b' }]);
  assert.deepEqual(keptFiles(inFolder, given), ['mesh/b.pem']);
  assert.deepEqual(keptFiles(map, given), []);
  assert.deepEqual(keptFiles(inFolder, { kind: 'trustAnchors', certificates: [] }), []);
  assert.deepEqual(
    layOut(inFolder, given).map(({ path, mode, uid }) => [path, mode, uid]),
    [['mesh/a.example.pem', 0o644, 0]],
  );
  assert.deepEqual(
    layOut(map, given).map(({ path, mode, uid }) => [path, mode, uid]),
    [['mesh/map.json', 0o644, 0]],
  );
  const [file] = layOut(map, given);
  const text = Buffer.concat([...(file?.content.pieces() ?? [])]).toString();
  assert.match(text, /^\{"trust_domains":/);
  const empty = layOut(inFolder, content([{ trustDomain: 'c', certificates: [] }]));
  assert.deepEqual(
    empty.map(({ path, content: { length } }) => [path, length]),
    [['mesh/c.pem', 0]],
  );
});

test('what names a trust domain that is none, or keeps none apart, is written nowhere', () => {
  const fault = { name: 'TypeError', message: 'source 1 holds trust anchors by trust domain only' };
  for (const name of ['../../etc/passwd', '..', 'a/b', 'A', '', 'x'.repeat(64)]) {
    const given = content([{ trustDomain: 'a.example', certificates: [] }, { trustDomain: name }]);
    assert.throws(() => layOut(inFolder, given), fault, name);
    assert.throws(() => layOut(map, given), fault, name);
  }
  assert.throws(() => layOut(inFolder, { kind: 'trustAnchors', certificates: [anchor] }), fault);
  assert.throws(
    () => layOut(inFolder, { kind: 'credential', privateKey: Uint8Array.of(1), certificates: [anchor] }),
    fault,
  );
});

test('a volume with many trust domains pauses between them', () => {
  const access = volumeAccess({ sources: [inFolder] }, { kind: 'none' }, true);
  const names = Array.from({ length: 20 }, (_, index) => ({ trustDomain: `d${index}`, certificates: [] }));
  const steps = layOutApart(inFolder, content(names), { access, contentOf: createCertificatesContents() });
  assert.equal([...steps].length, 20);
});

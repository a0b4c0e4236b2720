/** Which certificates of a chain are roots, with real certificates: what OpenSSL and public signers make. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCertificatesContents } from '../../../volumes/files/content.ts';
import { layOut, volumeAccess } from '../../../volumes/files/layout.ts';
import { encodeCertificate } from '../../../volumes/files/pem.ts';
import { withoutRoots } from '../../../volumes/files/roots.ts';
import { certify, makeHolder } from '../../support/certificates.ts';
import { certificateSource } from '../support.ts';

test('the root goes, intermediates and a cross-signed root stay, wherever they stand', async () => {
  const [root, other, middle, leaf] = [
    await makeHolder('CN=root'),
    await makeHolder('CN=other'),
    await makeHolder('CN=middle'),
    await makeHolder('CN=leaf'),
  ];
  const rootBySelf = await certify(root, root);
  const rootByOther = await certify(root, other);
  const middleByRoot = await certify(middle, root);
  const leafByMiddle = await certify(leaf, middle, { ca: false, usage: 'other' });
  assert.deepEqual(withoutRoots([leafByMiddle, middleByRoot, rootBySelf]), [leafByMiddle, middleByRoot]);
  assert.deepEqual(withoutRoots([leafByMiddle, rootBySelf, middleByRoot, rootByOther]), [
    leafByMiddle,
    middleByRoot,
    rootByOther,
  ]);
  assert.deepEqual(withoutRoots([leafByMiddle]), [leafByMiddle]);
});

test('a new key of a CA that its old key certifies is no root, though it bears one name twice', async () => {
  const [old, next] = [await makeHolder('CN=root'), await makeHolder('CN=root')];
  const leaf = await certify(await makeHolder('CN=leaf'), next, { ca: false, usage: 'other' });
  const nextByOld = await certify(next, old);
  assert.deepEqual(withoutRoots([leaf, nextByOld, await certify(old, old)]), [leaf, nextByOld]);
});

test('a chain of roots costs no more than a few signatures: the rest of them stays', async () => {
  const own = await makeHolder('CN=root');
  const roots = await Promise.all(Array.from({ length: 30 }, () => certify(own, own)));
  const [leaf = new Uint8Array()] = roots;
  assert.equal(withoutRoots([leaf, ...roots]).length, 31 - 8);
});

test('a leaf that signed itself stays, and so does what is no certificate', async () => {
  const self = await makeHolder('CN=self');
  const own = await certify(self, self);
  const odd = Uint8Array.of(48, 0);
  assert.deepEqual(withoutRoots([own, own, odd]), [own, odd]);
});

test('every file of a source goes without the root when it says so, and with it when it does not', async () => {
  const [root, leaf] = [await makeHolder('CN=root'), await makeHolder('CN=leaf')];
  const certificates = [await certify(leaf, root, { ca: false, usage: 'other' }), await certify(root, root)];
  const [leafPem = '', rootPem = ''] = certificates.map(encodeCertificate);
  for (const [roots, expected] of [
    [undefined, leafPem + rootPem],
    ['drop', leafPem],
  ] as const) {
    const source = { ...certificateSource, intermediatesPath: 'rest.pem', ...(roots === undefined ? {} : { roots }) };
    const access = volumeAccess({ sources: [source] }, { kind: 'none' }, true);
    const tools = { access, secrets: [], contentOf: createCertificatesContents() };
    const content = { kind: 'credential', privateKey: Uint8Array.of(1), certificates } as const;
    const files = new Map(
      layOut(source, content, tools).map((file) => [file.path, Buffer.concat([...file.content.pieces()]).toString()]),
    );
    assert.equal(files.get('parts/chain.pem'), expected);
    assert.ok(files.get('credentials.pem')?.endsWith(expected), 'the bundle is the key and the same chain');
    assert.equal(files.get('rest.pem'), expected.slice(leafPem.length));
  }
});

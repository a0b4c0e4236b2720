/** Target paths: the one form that is accepted, and hostile ones that are not. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { assertNoSymlink, isPodUID, parseTargetPath, targetDirectories } from '../../../volumes/mounts/target-path.ts';
import { makeTarget, podUID, temporaryDirectory } from '../support.ts';

const root = '/var/lib/kubelet';
const good = `${root}/pods/${podUID}/volumes/kubernetes.io~csi/mtls/mount`;

test('the path that the kubelet gives out names pod and volume', () => {
  assert.deepEqual(parseTargetPath(root, good), { podUID, volumeName: 'mtls' });
  assert.deepEqual(parseTargetPath('/', good.slice(root.length)), { podUID, volumeName: 'mtls' });
});

test('no other path is accepted', () => {
  const hostile = [
    '',
    '/',
    'mount',
    root,
    `${root}/pods`,
    good.slice(1),
    `/tmp${good}`,
    `${good}/`,
    `${good}/x`,
    `${good}/..`,
    `${good}\u0000`,
    `${good}\n`,
    good.replace('/mount', '/../mount'),
    good.replace('/mount', ''),
    good.replace('/mtls/', '/../'),
    good.replace('/mtls/', '/./'),
    good.replace('/mtls/', '//'),
    good.replace('/mtls/', '/MTLS/'),
    good.replace('/mtls/', '/..data/'),
    good.replace('kubernetes.io~csi', 'kubernetes.io~empty-dir'),
    good.replace('/volumes/', '/volume-subpaths/'),
    good.replace(podUID, '..'),
    good.replace(podUID, '.'),
    good.replace(podUID, ''),
    good.replace(podUID, 'a b'),
    good.replace(podUID, '-rf'),
    good.replace(podUID, 'x'.repeat(129)),
    good.replace('/pods/', '/plugins/'),
    `${root}/../kubelet/pods/${podUID}/volumes/kubernetes.io~csi/mtls/mount`,
    `${root}-other/pods/${podUID}/volumes/kubernetes.io~csi/mtls/mount`,
  ];
  for (const targetPath of hostile) {
    assert.throws(() => parseTargetPath(root, targetPath), { code: 'InvalidTarget' }, JSON.stringify(targetPath));
  }
});

test('a path that is refused is shown in part, with the form that it should have', () => {
  const form = 'is not of the form /var/lib/kubelet/pods/<pod UID>/volumes/kubernetes.io~csi/<volume name>/mount';
  for (const [targetPath, shown] of [
    ['/etc\n', '"/etc\\n"'],
    ['x'.repeat(300), `"${'x'.repeat(256)}"`],
  ] as const) {
    assert.throws(() => parseTargetPath(root, targetPath), { message: `target path ${shown} ${form}` });
  }
  const { pods, volumes, mount } = targetDirectories;
  assert.equal(path.join(root, pods, podUID, volumes, 'mtls', mount), good, 'where volumes are looked for');
});

test('pod UIDs are letters, digits and dashes', () => {
  for (const uid of [podUID, 'A1', '0123456789abcdef0123456789abcdef']) {
    assert.equal(isPodUID(uid), true, `${uid} is taken for no UID`);
  }
  for (const uid of ['', '..', 'a/b', 'a.b', 'é', 'x'.repeat(129)]) {
    assert.equal(isPodUID(uid), false, `${uid} is taken for a UID`);
  }
});

test('a symlink anywhere below the kubelet root is refused, and the root itself may be one', (t) => {
  const directory = temporaryDirectory(t);
  const target = makeTarget(path.join(directory, 'real'));
  assert.doesNotThrow(() => assertNoSymlink(path.join(directory, 'real'), target));
  fs.symlinkSync('real', path.join(directory, 'link'));
  const throughRoot = target.replace('/real/', '/link/');
  assert.doesNotThrow(() => assertNoSymlink(path.join(directory, 'link'), throughRoot));

  const elsewhere = path.join(directory, 'elsewhere');
  fs.mkdirSync(elsewhere);
  fs.symlinkSync(elsewhere, target);
  assert.throws(() => assertNoSymlink(path.join(directory, 'real'), target), { code: 'InvalidTarget' });

  const volumes = path.dirname(path.dirname(path.dirname(target)));
  fs.renameSync(volumes, `${volumes}-moved`);
  fs.symlinkSync(`${volumes}-moved`, volumes);
  assert.throws(() => assertNoSymlink(path.join(directory, 'real'), target), /volumes is not a directory/);
});

/** The kernel's mount table, and whether mounts made under a directory reach the pods. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  assertMountPropagation,
  mountsAt,
  parseMountTable,
  readMountTable,
} from '../../../volumes/mounts/mount-table.ts';

const text = `
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:50 / /var/lib/kubelet rw - xfs /dev/sdb rw
41 40 0:51 / /var/lib/kubelet/pods/a\\040b\\134c\\011d rw,nosuid shared:7 master:2 - tmpfs csi.podcert.io rw,size=1k
60 61 0:53 / /mnt rw - tmpfs upper rw
61 22 0:52 / /mnt rw - tmpfs lower rw
garbage
36 35 98:0 /x
`;

test('lines with and without optional fields are read, escapes undone, other lines left out', () => {
  assert.deepEqual(parseMountTable(text).slice(1, 3), [
    {
      id: 40,
      parentId: 22,
      device: '0:50',
      root: '/',
      mountPoint: '/var/lib/kubelet',
      fileSystemType: 'xfs',
      source: '/dev/sdb',
      isShared: false,
    },
    {
      id: 41,
      parentId: 40,
      device: '0:51',
      root: '/',
      mountPoint: '/var/lib/kubelet/pods/a b\\c\td',
      fileSystemType: 'tmpfs',
      source: 'csi.podcert.io',
      isShared: true,
    },
  ]);
  assert.equal(parseMountTable(text).length, 5);
});

test('of several mounts on one path the visible one comes last, in whatever order the kernel lists them', () => {
  const layers = mountsAt(parseMountTable(text), '/mnt').map((entry) => entry.source);
  assert.deepEqual(layers, ['lower', 'upper']);
  assert.deepEqual(mountsAt(parseMountTable(text), '/mnt/x'), []);
});

test('the nearest mount above a directory decides whether mounts below it reach the pods', () => {
  const table = parseMountTable(text);
  assert.doesNotThrow(() => assertMountPropagation(table, '/var/lib/other'));
  assert.doesNotThrow(() => assertMountPropagation(table, '/'));
  for (const directory of ['/var/lib/kubelet', '/var/lib/kubelet/pods', '/mnt']) {
    assert.throws(() => assertMountPropagation(table, directory), /mountPropagation: Bidirectional/, directory);
  }
  assert.doesNotThrow(() => assertMountPropagation(table, '/var/lib/kubelet/pods/a b\\c\td/x'));
  assert.doesNotThrow(() => assertMountPropagation(table, '/var/lib/kubelet-other'));
  assert.throws(() => assertMountPropagation([], '/x'), { code: 'MountFailed' });
});

test("this process's own mount table can be read", () => {
  assert.ok(
    readMountTable().some((entry) => entry.mountPoint === '/proc'),
    'the table does not have /proc',
  );
});

/** The kernel's mount table, and whether mounts made under a directory reach the pods. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import {
  assertMountPropagation,
  assertVolumesReachPods,
  deviceOf,
  isMountedElsewhere,
  mountsAt,
  parseMountTable,
  readMountTable,
} from '../../../volumes/mounts/mount-table.ts';
import { temporaryDirectory } from '../support.ts';

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

test('a line that lacks a field is left out, and a mount is shared where its own field says so', () => {
  const line = '41 40 0:51 / /mnt rw';
  assert.equal(parseMountTable(`${line} - tmpfs source rw`).length, 1);
  for (const other of [
    '',
    line,
    `${line} -`,
    `${line} - tmpfs`,
    `${line} tmpfs source rw`,
    '41 40  / /mnt rw - tmpfs source rw',
    '41 40 0:51  /mnt rw - tmpfs source rw',
    '41 40 0:51 / - tmpfs source rw',
  ]) {
    assert.deepEqual(parseMountTable(other), [], other);
  }
  for (const [rest, isShared] of [
    ['- tmpfs source rw', false],
    ['shared:1 - tmpfs source rw', true],
    ['master:2 shared:1 - tmpfs source rw', true],
    ['master:2 - tmpfs source rw', false],
    ['unbindable - tmpfs shared:1 shared:2', false],
  ] as const) {
    assert.deepEqual(
      parseMountTable(`${line} ${rest}`).map((entry) => entry.isShared),
      [isShared],
      rest,
    );
  }
});

test('a volume is mounted elsewhere when its file system, or a part of it, lies at a path outside of it', () => {
  const own = '50 1 0:60 / /pods/a/mount rw - tmpfs csi rw';
  for (const [other, isElsewhere] of [
    ['51 1 0:61 / /elsewhere rw - tmpfs csi rw', false],
    ['51 1 0:60 / /pods/a/mount rw - tmpfs csi rw', false],
    ['51 1 0:60 /inner /pods/a/mount/inner rw - tmpfs csi rw', false],
    ['51 1 0:60 / /pods/a/mount-2 rw - tmpfs csi rw', true],
    ['51 1 0:60 /inner /containers/b rw - tmpfs csi rw', true],
    ['51 1 0:60 / /pods/a rw - tmpfs csi rw', true],
  ] as const) {
    const table = parseMountTable(`${own}\n${other}`);
    const [entry] = table;
    assert.ok(entry !== undefined && table.length === 2, other);
    assert.equal(isMountedElsewhere(table, entry), isElsewhere, other);
  }
});

test("a kubelet's directory that is not there, or not shared, is told with what to set", (t) => {
  const kubeletRoot = temporaryDirectory(t);
  assert.throws(() => assertVolumesReachPods(kubeletRoot), {
    code: 'NoParent',
    message:
      `${kubeletRoot}/pods cannot be found: set kubelet-root to the kubelet's --root-dir, ` +
      "and mount that directory at the same path into the agent's container",
  });
  fs.mkdirSync(path.join(kubeletRoot, 'real'));
  fs.symlinkSync('real', path.join(kubeletRoot, 'pods'));
  const outcome = (check: () => void): string => {
    try {
      check();
      return 'they do';
    } catch (error) {
      return String(error);
    }
  };
  assert.equal(
    outcome(() => assertVolumesReachPods(kubeletRoot)),
    outcome(() => assertMountPropagation(readMountTable(), fs.realpathSync(path.join(kubeletRoot, 'real')))),
  );
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

test('a file is known to lie on a file system by the number that the table has for it', () => {
  const proc = mountsAt(readMountTable(), '/proc').at(-1);
  assert.equal(deviceOf(fs.statSync('/proc')), proc?.device);
  for (const [dev, device] of [
    [0x0801, '8:1'],
    [0xff, '0:255'],
    [0x10_002c, '0:300'],
    [0xffff_ffff, '4095:1048575'],
  ] as const) {
    assert.equal(deviceOf({ dev }), device);
  }
});

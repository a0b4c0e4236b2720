/** Which pod a process belongs to, by what the kernel says of its control groups: only the kubelet's own level of the hierarchy counts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isInPod, isInSomePod, type PodGroups, podGroupsIn } from '../../../agent/uptake/cgroup.ts';

const agent = '11111111-2222-3333-4444-555555555555';
const pod = '0b7a4a6e-93a5-4d3c-8f53-1f6a1a3c0d11';
const other = 'ffffffff-93a5-4d3c-8f53-1f6a1a3c0d11';
const slice = (uid: string): string => `pod${uid.replaceAll('-', '_')}.slice`;

interface Layout {
  readonly name: string;
  /** The agent's own. */
  readonly own: string;
  readonly root: string;
  readonly group: (uid: string) => string;
}

const layouts: readonly Layout[] = [
  {
    name: 'cgroupfs, burstable',
    own: `/kubepods/pod${agent}/aaaa`,
    root: '/kubepods',
    group: (uid) => `/kubepods/burstable/pod${uid}`,
  },
  {
    name: 'cgroupfs, guaranteed',
    own: `/kubepods/burstable/pod${agent}/aaaa`,
    root: '/kubepods',
    group: (uid) => `/kubepods/pod${uid}`,
  },
  {
    name: 'systemd, best effort',
    own: `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-${slice(agent)}/cri-containerd-aaaa.scope`,
    root: '/kubepods.slice',
    group: (uid) => `/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-${slice(uid)}`,
  },
  {
    name: 'systemd, guaranteed',
    own: `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-${slice(agent)}/crio-aaaa.scope/container`,
    root: '/kubepods.slice',
    group: (uid) => `/kubepods.slice/kubepods-${slice(uid)}`,
  },
  {
    name: 'systemd below a root of the kubelet’s own',
    own: `/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-${slice(agent)}/cri-containerd-aaaa.scope`,
    root: '/kubelet.slice/kubelet-kubepods.slice',
    group: (uid) =>
      `/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-${slice(uid)}`,
  },
  {
    name: 'cgroupfs below a root of the kubelet’s own',
    own: `/kubelet/kubepods/besteffort/pod${agent}/aaaa`,
    root: '/kubelet/kubepods',
    group: (uid) => `/kubelet/kubepods/burstable/pod${uid}`,
  },
];

const unified = (path: string): string => `0::${path}\n`;
const first = (path: string, more = ''): string =>
  ['12:pids', '11:memory', '4:cpu,cpuacct', '1:name=systemd'].map((name) => `${name}:${path}\n`).join('') + more;

for (const { name, own, root, group } of layouts) {
  for (const [version, text] of [
    ['one hierarchy', unified],
    ['several hierarchies', first],
  ] as const) {
    test(`a process is known by its group: ${name}, ${version}`, () => {
      const groups = podGroupsIn(text(own));
      assert.equal(groups?.root, root);
      const isOwn = (path: string, uid = pod): boolean => isInPod(text(path), groups as PodGroups, uid);
      assert.ok(isOwn(`${group(pod)}/cri-containerd-bbbb.scope`), 'a container of the pod');
      assert.ok(isOwn(group(pod)), 'the pod itself');
      assert.ok(isOwn(`${group(pod)}/bbbb/made/by/the/pod:with a colon`), 'a group that the pod has made');
      assert.ok(!isOwn(`${group(other)}/bbbb`), 'another pod');
      assert.ok(!isOwn(`${group(pod)}0/bbbb`), 'a longer name');
      assert.ok(!isOwn(own), 'the agent');
      assert.ok(!isOwn('/system.slice/kubelet.service'), 'the node');
      assert.ok(isInSomePod(text(`${group(other)}/bbbb`), groups as PodGroups), 'some pod');
      assert.ok(!isInSomePod(text('/init.scope'), groups as PodGroups), 'no pod');
    });

    test(`a group that a pod has made and called like another's is not that other's: ${name}, ${version}`, () => {
      const groups = podGroupsIn(text(own)) as PodGroups;
      for (const forged of [
        `${group(other)}/bbbb${group(pod)}/cccc`,
        `${group(other)}/bbbb/pod${pod}`,
        `${group(other)}/${slice(pod)}`,
        `${group(other)}/../pod${pod}`,
        `/user.slice${group(pod)}/cccc`,
        `${root}/pod${other}/pod${pod}`,
        `${group(pod)} (deleted)`,
      ]) {
        assert.ok(!isInPod(text(forged), groups, pod), forged);
      }
    });
  }
}

test('a process that was moved in some hierarchies only belongs to nobody', () => {
  const groups: PodGroups = { driver: 'cgroupfs', root: '/kubepods' };
  const torn = `12:pids:/kubepods/pod${pod}/a\n11:memory:/kubepods/pod${other}/a\n0::/\n`;
  assert.ok(!isInPod(torn, groups, pod), 'not the one’s');
  assert.ok(!isInPod(torn, groups, other), 'not the other’s');
  assert.ok(
    isInPod(`12:pids:/kubepods/pod${pod}/a\n11:rdma:/\n0::/system.slice\n`, groups, pod),
    'some hierarchies hold no pods',
  );
});

test('an agent that runs in no pod, or sees groups from within its own, knows no place', () => {
  for (const own of [
    '0::/\n',
    '0::/system.slice/agent.service\n',
    `0::/../../pod${agent}/a\n`,
    '',
    '0::/kubepods/x\n',
  ]) {
    assert.equal(podGroupsIn(own), undefined, own);
  }
  const torn = `2:pids:/kubepods/pod${agent}/a\n1:memory:/elsewhere/kubepods/pod${agent}/a\n`;
  assert.equal(podGroupsIn(torn), undefined);
});

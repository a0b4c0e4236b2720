/**
 * Which pod a process belongs to, by its control groups: `/proc/PID/cgroup`, which the kernel writes and a process without the node's rights
 * cannot change. The kubelet makes the groups of pods at one place, and only there a group's name says whose it is: a pod that may make groups of its own makes them
 * below its own, whatever it calls them.
 *
 *     cgroupfs   /kubepods/burstable/pod0b7a4a6e-93a5-…/<container>
 *     systemd    /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0b7a4a6e_93a5_….slice/<container>
 *
 * Guaranteed pods lie one level higher, and with the kubelet's `--cgroup-root` all of it lies lower. Where the place is, the agent learns from its own
 * group, since it runs in a pod too.
 *
 * https://kubernetes.io/docs/concepts/architecture/cgroups/
 */

/** The place of the kubelet's groups of pods. */
export interface PodGroups {
  readonly driver: 'cgroupfs' | 'systemd';
  /** Path of the group above all pods, without a slash at its end. */
  readonly root: string;
}

const classes = ['burstable', 'besteffort'];
const uidForm = '[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}';

/** The place as a process of a pod sees it; nothing where it is in none, or sees groups from within its own. @param text of /proc/self/cgroup */
export function podGroupsIn(text: string): PodGroups | undefined {
  const found = pathsIn(text).flatMap((path) => placeIn(path) ?? []);
  const [first] = found;
  const isOne = found.every(({ driver, root }) => driver === first?.driver && root === first.root);
  return isOne ? first : undefined;
}

/**
 * Whether a process is one of the pod's. With the groups of Linux' first version a process has several: all that lie among those of pods must be
 * this pod's, since whoever can move a process may have moved it in some.
 * @param text of /proc/PID/cgroup
 */
export function isInPod(text: string, { driver, root }: PodGroups, podUID: string): boolean {
  const among = pathsIn(text).filter((path) => path.startsWith(`${root}/`));
  const own = groupsOf(driver, root, podUID);
  return among.length > 0 && among.every((path) => own.some((group) => path === group || path.startsWith(`${group}/`)));
}

/** Whether a process belongs to any pod. */
export function isInSomePod(text: string, { root }: PodGroups): boolean {
  return pathsIn(text).some((path) => path.startsWith(`${root}/`));
}

/** Where the pod's groups may be, by its class of service. */
function groupsOf(driver: PodGroups['driver'], root: string, podUID: string): readonly string[] {
  if (driver === 'cgroupfs') {
    return [root, ...classes.map((name) => `${root}/${name}`)].map((above) => `${above}/pod${podUID}`);
  }
  // A slice's name holds those of all above it, joined by dashes; what was a dash is an underscore.
  const base = root.slice(root.lastIndexOf('/') + 1, -'.slice'.length);
  const pod = `pod${podUID.replaceAll('-', '_')}.slice`;
  return [`${root}/${base}-${pod}`, ...classes.map((name) => `${root}/${base}-${name}.slice/${base}-${name}-${pod}`)];
}

function placeIn(path: string): PodGroups | undefined {
  const cgroupfs = new RegExp(`^((?:/[^/]+)*?/kubepods)/(?:(?:${classes.join('|')})/)?pod${uidForm}(?:/|$)`).exec(path);
  if (cgroupfs?.[1] !== undefined) {
    return { driver: 'cgroupfs', root: cgroupfs[1] };
  }
  const systemd = new RegExp(
    `^((?:/[^/]+)*?/(?:[^/]+-)?kubepods\\.slice)/(?:[^/]+\\.slice/)?[^/]+-pod${uidForm}\\.slice(?:/|$)`,
  );
  const root = systemd.exec(path)?.[1];
  return root === undefined ? undefined : { driver: 'systemd', root };
}

/** The paths in the lines `ID:controllers:path`; a path may hold colons. One that leads out of what this process may see is none. */
function pathsIn(text: string): readonly string[] {
  return text
    .split('\n')
    .flatMap((line) => /^\d+:[^:]*:(\/.*)$/.exec(line)?.[1] ?? [])
    .filter((path) => !path.split('/').includes('..'));
}

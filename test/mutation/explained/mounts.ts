/** What survives where volumes are mounted and looked at, each with its reason. */
import { becauseIn } from './because.ts';
import type { Explanation } from './explanation.ts';

const because = becauseIn('volumes/mounts');

export const mounts: readonly Explanation[] = [
  ...because(
    'the kernel writes this line of every descriptor, and writes it once; only the type checker has to be told',
    {
      'mount-point': [
        ['/^mnt_id:.*$/m.exec(describe(descriptor))?.[0]', '/^mnt_id:.*$/m.exec(describe(descriptor))[0]'],
        ['above === undefined', 'false'],
      ],
    },
  ),
  ...because('the kernel names the number at the beginning of one line alone, and a dot takes no line feed', {
    'mount-point': [
      ['/^mnt_id:.*$/m', '/mnt_id:.*$/m'],
      ['/^mnt_id:.*$/m', '/^mnt_id:.*/m'],
    ],
  }),
  ...because(
    'what the file system refuses has a code; another error would be a fault of the agent, which is not hidden',
    {
      'mount-point': [
        ['systemCode(error) === undefined', 'false'],
        ['{ throw error; }', '{}'],
      ],
    },
  ),
];

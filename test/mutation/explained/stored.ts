/** What survives in the files directly in volumes/, each with its reason. */
import { becauseIn } from './because.ts';
import type { Explanation } from './explanation.ts';

const because = becauseIn('volumes');

export const stored: readonly Explanation[] = [
  ...because('nothing is no yes either', { store: [['{ removed: false }', '{}']] }),
  ...because('no pod has a line of that name', { store: [["'all'", '""']] }),
  ...because('what grows a volume looks at its size first; to ask before spares opening it', {
    store: [
      ['wantedBytes > haveBytes', 'true'],
      ['wantedBytes > haveBytes', 'wantedBytes >= haveBytes'],
    ],
  }),
  ...because('only what the error says is told on', {
    store: [["'Corrupt'", '""', `throw new VolumeError('Corrupt', \`\${targetPath} holds no record of its volume\`);`]],
  }),
  ...because('whoever asks has looked just before; what was put there in between is refused when it is opened', {
    store: [
      ['!stats?.isDirectory()', 'false'],
      ['stats?.isDirectory', 'stats.isDirectory'],
      [`{ throw new VolumeError('Gone', \`\${root} is not a directory\`); }`, '{}'],
      ["'Gone'", '""'],
    ],
  }),
];

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
  ...because(
    'only trust anchors are kept apart, and only a certificate comes with anchors; the type checker has to be told',
    {
      'open-volume': [
        ["content.kind === 'trustAnchors'", 'true'],
        ["of.kind === 'podCertificate' && wantsAnchors(of)", 'true'],
        ["of.kind === 'podCertificate' && wantsAnchors(of)", "of.kind === 'podCertificate' || wantsAnchors(of)"],
        ["of.kind === 'podCertificate'", 'true'],
        ["source.kind === 'podCertificate'", 'true'],
        [
          '[]',
          '["Stryker was here"]',
          "const anchors = source.kind === 'podCertificate' ? issuedAnchorPaths(source) : [];",
        ],
      ],
    },
  ),
  ...because('a file that is not there is kept in vain', {
    'open-volume': [
      [
        '[]',
        '["Stryker was here"]',
        "return isApart(of) && content.kind === 'trustAnchors' ? keptFiles(of, content) : [];",
      ],
    ],
  }),
  ...because(
    'the other error of its own that comes by there is of a write that came short, over as many bytes as before',
    {
      'open-volume': [
        [
          "error instanceof VolumeError && error.code === 'Tampered'",
          "error instanceof VolumeError || error.code === 'Tampered'",
        ],
        ["error.code === 'Tampered'", 'true'],
      ],
    },
  ),
  ...because('none of no sources has the file; not to ask spares a look at each', {
    'open-volume': [['apart.length === 0', 'false']],
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

/** What survives in the files of volumes/ that write and read files, each with its reason. */
import { becauseIn } from './because.ts';
import type { Explanation } from './explanation.ts';

const because = becauseIn('volumes');

export const files: readonly Explanation[] = [
  ...because('what is no name is not named after a time either; only the type checker has to be told', {
    'files/atomic-writer': [
      ['name !== undefined', 'true', 'const isOwn = name !== undefined && timestampDirectory.test(name);'],
    ],
  }),
  ...because('nothing is no yes either', {
    'files/atomic-writer': [['() => false', '() => undefined']],
  }),
  ...because('an owner is told whole, by user and group, or not at all', {
    'files/files': [
      ['access.uid !== undefined && access.gid !== undefined', 'access.uid !== undefined || access.gid !== undefined'],
      ['access.uid !== undefined', 'true'],
      ['access.gid !== undefined', 'true'],
      ['uid !== undefined && gid !== undefined', 'uid !== undefined || gid !== undefined'],
      ['uid !== undefined', 'true'],
      ['gid !== undefined', 'true'],
    ],
  }),
  ...because('what is not there is not removed either; to look first spares making an error of it', {
    'files/files': [
      ['lstat(file) === undefined', 'false'],
      ['{ return; }', '{}', 'if (lstat(file) === undefined) {'],
    ],
  }),
  ...because('two places were looked at; only the type checker has to be told', {
    'files/files': [["''", '"Stryker was here!"']],
  }),
  ...because('the bytes are compared to the end of the file; the length is looked at first to spare that', {
    'files/stored-set': [['stats.size === file.content.length', 'true']],
  }),
];

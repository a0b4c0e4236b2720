/**
 * What a release is a release of: version, commit, and the one time that everything in it carries.
 *
 * https://reproducible-builds.org/specs/source-date-epoch/
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import packageJson from '../../package.json' with { type: 'json' };
import { chartDirectory } from '../chart.ts';
import { Refusal, run } from './programs.ts';

const root = join(import.meta.dirname, '../..');

export interface Version {
  /** As in package.json, without a `v`. */
  readonly version: string;
  /** The commit. */
  readonly revision: string;
  /** Seconds since 1970: when the commit was made. */
  readonly epoch: number;
  /** Whether the tree is something else than the commit. */
  readonly isChanged: boolean;
}

/**
 * Reads them from the tree and from git; REVISION and SOURCE_DATE_EPOCH say otherwise, for sources without git.
 * @throws Refusal when the chart is of another version than the agent, or when git does not know the commit
 */
export function readVersion(environment: NodeJS.ProcessEnv): Version {
  const { version } = packageJson;
  const chart: unknown = parse(readFileSync(join(chartDirectory, 'Chart.yaml'), 'utf8'));
  for (const field of ['version', 'appVersion']) {
    const found: unknown = Reflect.get(Object(chart), field);
    if (found !== version) {
      throw new Refusal(`${field} in Chart.yaml is ${String(found)}, and version in package.json is ${version}`);
    }
  }
  const { REVISION: named, SOURCE_DATE_EPOCH: time } = environment;
  const git = (...args: readonly string[]) => run('git', args, { cwd: root }).toString('utf8').trim();
  const epoch = time ?? git('log', '-1', '--format=%ct');
  if (!/^\d{1,10}$/.test(epoch)) {
    throw new Refusal(`SOURCE_DATE_EPOCH is ${epoch}, and seconds since 1970 are digits`);
  }
  return {
    version,
    revision: named ?? git('rev-parse', 'HEAD'),
    epoch: Number(epoch),
    isChanged: named === undefined && git('status', '--porcelain') !== '',
  };
}

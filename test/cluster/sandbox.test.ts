/**
 * The suite passes against the sandbox: what it proves on a cluster is what tests against the sandbox count on.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe } from 'node:test';
import { type Cluster, startCluster } from '../../sandbox/cluster.ts';
import { clusterSuite } from './suite.ts';

describe('The suite against the sandbox', () => {
  let cluster: Cluster | undefined;
  let directory = '';
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'suite-'));
    cluster = await startCluster({ directory });
  });
  after(async () => {
    await cluster?.close();
    rmSync(directory, { recursive: true, force: true });
  });
  clusterSuite({ kubeconfig: () => cluster?.kubeconfigs.admin ?? '' });
});

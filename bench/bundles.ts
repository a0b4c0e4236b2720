/**
 * What trust bundles cost an agent whose volumes do not use them: 10,000 in the cluster against 100, with 50 signers' selectors in
 * use, so many that the agent watches all bundles at once.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiServer } from './support/api-server.ts';
import { type BundleOfBench, signerName } from './support/api-server-calls.ts';
import type { Bench } from './support/figures.ts';
import { startPods } from './support/many.ts';
import { type BenchNode, podOf, startBenchNode } from './support/node.ts';
import { memoryOf } from './support/processes.ts';

const selectors = 50;
const few = 100;
const many = 10_000;
const settlingMs = 8000;
const limit = 1.2;

export const bench: Bench = {
  what: `${many} trust bundles in the cluster against ${few}, ${selectors} selectors in use`,
  async measure({ progress }) {
    const floor = await costs(few, progress);
    const value = await costs(many, progress);
    const what = `${many} bundles in the cluster, ${selectors} selectors:`;
    const target = { of: 'ratio', limit } as const;
    const note = `The floor of bundles is the same with ${few} of them.`;
    return [
      {
        name: 'bundles/memory',
        what: `${what} resident memory`,
        unit: 'MiB',
        value: value.residentMiB,
        floor: floor.residentMiB,
        target,
        note,
      },
      {
        name: 'bundles/peak',
        what: `${what} peak of it`,
        unit: 'MiB',
        value: value.peakMiB,
        floor: floor.peakMiB,
        note,
      },
      {
        name: 'bundles/rest',
        what: `${what} processor time of a minute`,
        unit: 'ms',
        value: value.restMs,
        floor: floor.restMs,
        target,
        note,
      },
      {
        name: 'bundles/start',
        what: `${what} processor time of a restart`,
        unit: 'ms',
        value: value.restartMs,
        floor: floor.restartMs,
        note,
      },
    ];
  },
};

interface Costs {
  readonly residentMiB: number;
  readonly peakMiB: number;
  readonly restMs: number;
  readonly restartMs: number;
}

async function costs(bundles: number, progress: (text: string) => void): Promise<Costs> {
  const node = await startBenchNode({ furnish: (apiServer) => furnish(apiServer, bundles) });
  try {
    progress(`${bundles} bundles`);
    await startPods(node, 0, selectors, withSelector);
    // With volumes already there, all selectors come at once.
    await node.restartAgent();
    await sleep(settlingMs);
    const restartMs = node.agent.processorMs();
    const restMs = await rest(node);
    return { ...memoryOf(node.agent.pid), restMs, restartMs };
  } finally {
    await node.close();
  }
}

/** A minute in which bundles that nobody uses are renewed, one a second. */
async function rest({ agent, apiServer }: BenchNode): Promise<number> {
  const before = agent.processorMs();
  for (let second = 0; second < 60; second += 1) {
    await apiServer.call('bundles', [unused(second)]);
    await sleep(1000);
  }
  return agent.processorMs() - before;
}

const signerOf = (index: number): string => `example.com/signer-${index}`;

function unused(index: number): BundleOfBench {
  return { name: `other.example:mesh:${index}`, signerName: 'other.example/mesh', labels: { number: String(index) } };
}

async function furnish(apiServer: ApiServer, bundles: number): Promise<void> {
  const used = Array.from({ length: selectors }, (_, index) => {
    const name = `${signerOf(index).replace('/', ':')}:one`;
    return { name, signerName: signerOf(index), labels: { use: 'yes' } };
  });
  await apiServer.call('bundles', used);
  await apiServer.call(
    'bundles',
    Array.from({ length: bundles - selectors }, (_, index) => unused(index)),
  );
}

function withSelector(index: number): ReturnType<typeof podOf> {
  const certificate = { podCertificate: { signerName, keyType: 'ECDSAP256', credentialBundlePath: 'tls.pem' } };
  const labelSelector = { matchLabels: { use: 'yes' } };
  const anchors = { clusterTrustBundle: { signerName: signerOf(index), labelSelector, path: 'ca.pem' } };
  return { ...podOf(`pod-${index}`, { keyType: 'ECDSAP256' }), sources: JSON.stringify([certificate, anchors]) };
}

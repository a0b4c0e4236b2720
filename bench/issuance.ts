/**
 * What it costs to give pods their first certificate, with the agent as a process of its own against the sandbox.
 * `node bench/issuance.ts`
 *
 * - time from the publish call to the files for one pod, and how it grows with pods at once (ratios within one run)
 * - calls to the API server for each certificate
 * - phases of an issuance, from the agent's own metrics
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { startCluster } from '../sandbox/cluster/cluster.ts';

const signerName = 'example.com/mesh';
const metricsPort = 20_000 + (process.pid % 20_000);
const sources = [
  { podCertificate: { signerName, keyType: 'ECDSAP256', credentialBundlePath: 'tls.pem' } },
  { clusterTrustBundle: { signerName, labelSelector: {}, path: 'ca.pem' } },
];

const directory = mkdtempSync(join(tmpdir(), 'bench-'));
const cluster = await startCluster({ directory, signers: [{ signerName }] });
const agent = spawn(
  process.execPath,
  [
    join(import.meta.dirname, '../agent/main.ts'),
    ...['--kubeconfig', cluster.kubeconfigs.agent, '--node-name', cluster.nodeName, '--impersonate-node'],
    ...['--volume-mode', 'directory', '--kubelet-root', cluster.kubeletRoot, '--csi-socket', cluster.csiSocket],
    ...['--no-registration', '--metrics-address', `127.0.0.1:${metricsPort}`, '--log-format', 'json'],
    ...['--requests-per-second', '1000', '--burst', '10000'],
  ],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);
const ready = new Map<string, number>();
let running = (): void => {};
const isRunning = new Promise<void>((resolve) => {
  running = resolve;
});
createInterface({ input: agent.stdout }).on('line', (text) => {
  const line: { message: string; pod?: string; tookMs?: number } = JSON.parse(text);
  if (line.message === 'the agent runs') {
    running();
  }
  if (line.message === 'volume ready') {
    ready.set(line.pod ?? '', line.tookMs ?? Number.NaN);
  }
});

/** Starts pods together. @returns the median time of their publish calls, milliseconds */
async function batch(name: string, count: number): Promise<number> {
  const names = Array.from({ length: count }, (_, index) => `${name}-${index}`);
  const volumes = [{ name: 'mtls', sources }];
  await Promise.all(names.map((pod) => cluster.admin.createPod({ name: pod, volumes })));
  await Promise.all(names.map((pod) => cluster.admin.podRunning('default', pod)));
  const times = names.map((pod) => ready.get(pod) ?? Number.NaN).toSorted((a, b) => a - b);
  return times[Math.floor(times.length / 2)] ?? Number.NaN;
}

async function metric(pattern: RegExp): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  return [...text.matchAll(pattern)].reduce((sum, [, value]) => sum + Number(value), 0);
}

try {
  await isRunning;
  await batch('warm-up', 5);
  const one = await batch('one', 1);
  const callsBefore = await metric(/^podcert_agent_api_request_duration_seconds_count\{.*\} (\S+)$/gm);
  const ten = await batch('ten', 10);
  const hundred = await batch('hundred', 100);
  const calls = (await metric(/^podcert_agent_api_request_duration_seconds_count\{.*\} (\S+)$/gm)) - callsBefore;
  const phases = ['key', 'request', 'signer', 'write', 'total'].map(async (phase) => {
    const of = `\\{[^}]*phase="${phase}"[^}]*\\} (\\S+)$`;
    const prefix = '^podcert_agent_first_certificate_duration_seconds_';
    const sum = await metric(new RegExp(`${prefix}sum${of}`, 'gm'));
    return `${phase} ${((1000 * sum) / (await metric(new RegExp(`${prefix}count${of}`, 'gm')))).toFixed(1)} ms`;
  });
  const lines = [
    `publish call, median: 1 pod ${one} ms; 10 at once × ${(ten / one).toFixed(1)}; 100 at once × ${(hundred / one).toFixed(1)}`,
    `calls to the API server for each certificate, events included: ${(calls / 110).toFixed(2)}`,
    `mean of the phases: ${(await Promise.all(phases)).join(', ')}`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
} finally {
  agent.kill('SIGTERM');
  await cluster.close();
  rmSync(directory, { recursive: true, force: true });
}

/**
 * What it costs to be looked at: 10,000 scrapes, with the status page now and then, while pods get certificates.
 * `node bench/scrapes.ts`
 *
 * - time of a scrape, and of the publish calls beside it against those in quiet (a ratio within one run)
 * - what is left of memory, file descriptors and series after 10,000 scrapes against after 2,500
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { startCluster } from '../sandbox/cluster/cluster.ts';

const signerName = 'example.com/mesh';
const port = 20_000 + (process.pid % 20_000);
const sources = [{ podCertificate: { signerName, keyType: 'ECDSAP256', credentialBundlePath: 'tls.pem' } }];
const scrapeCount = 10_000;
/** Prometheus asks every half a minute; this is thousands of times as often. */
const scrapers = 4;
const pauseMs = 20;

const directory = mkdtempSync(join(tmpdir(), 'bench-'));
const cluster = await startCluster({ directory, signers: [{ signerName }] });
const agent = spawn(
  process.execPath,
  [
    // As in the image: without a limit the heap grows as far as the machine lets it, and tells nothing.
    ...['--max-semi-space-size=1', '--optimize-for-size', '--max-old-space-size=128'],
    join(import.meta.dirname, '../agent/main.ts'),
    ...['--kubeconfig', cluster.kubeconfigs.agent, '--node-name', cluster.nodeName, '--impersonate-node'],
    ...['--volume-mode', 'directory', '--kubelet-root', cluster.kubeletRoot, '--csi-socket', cluster.csiSocket],
    ...['--no-registration', '--metrics-address', `127.0.0.1:${port}`, '--log-format', 'json'],
    ...['--requests-per-second', '1000', '--burst', '10000', '--pod-metrics'],
  ],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);
const ready = new Map<string, number>();
const started = Promise.withResolvers<void>();
createInterface({ input: agent.stdout }).on('line', (text) => {
  const line: { message: string; pod?: string; tookMs?: number } = JSON.parse(text);
  if (line.message === 'the agent runs') {
    started.resolve();
  }
  if (line.message === 'volume ready') {
    ready.set(line.pod ?? '', line.tookMs ?? Number.NaN);
  }
});

const scrapeTimes: number[] = [];
let series = 0;
let isScraping = false;

async function fetchText(path: string): Promise<string> {
  const reply = await fetch(`http://127.0.0.1:${port}${path}`);
  return reply.text();
}

async function scrape(): Promise<void> {
  const startedAt = performance.now();
  series = (await fetchText('/metrics')).split('\n').length;
  scrapeTimes.push(performance.now() - startedAt);
  if (scrapeTimes.length % 50 === 0) {
    await fetchText('/statusz?format=html');
  }
}

async function scrapeAgainAndAgain(): Promise<void> {
  while (scrapeTimes.length < scrapeCount) {
    if (isScraping) {
      await scrape();
    }
    await sleep(pauseMs);
  }
}

/** One pod after the other. @returns times of their publish calls, milliseconds */
async function issue(name: string, count: number): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const pod = `${name}-${index}`;
    await cluster.admin.createPod({ name: pod, volumes: [{ name: 'mtls', sources }] });
    await cluster.admin.podRunning('default', pod);
    times.push(ready.get(pod) ?? Number.NaN);
    // What is measured is issuance, not how many volumes there are.
    await cluster.admin.deletePod('default', pod);
  }
  return times;
}

function quantile(values: readonly number[], share: number): number {
  return values.toSorted((one, other) => one - other)[Math.floor((values.length - 1) * share)] ?? Number.NaN;
}

async function usage() {
  const text = await fetchText('/metrics');
  const value = (name: string): number => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
  const memory = {
    rss: value('process_resident_memory_bytes') / 1e6,
    heap: value('nodejs_heap_size_used_bytes') / 1e6,
  };
  return { ...memory, files: value('process_open_fds'), series };
}

try {
  await started.promise;
  const resident = Array.from({ length: 50 }, (_, index) => `resident-${index}`);
  for (const name of resident) {
    await cluster.admin.createPod({ name, volumes: [{ name: 'mtls', sources }] });
  }
  for (const name of resident) {
    await cluster.admin.podRunning('default', name);
  }
  await issue('warm-up', 10);
  const quiet: number[] = [];
  const scraped: number[] = [];
  const scraping = Promise.all(Array.from({ length: scrapers }, scrapeAgainAndAgain));
  let early: Awaited<ReturnType<typeof usage>> | undefined;
  // In turns, so that whatever else the machine does falls on both alike.
  for (let round = 0; scrapeTimes.length < scrapeCount; round += 1) {
    isScraping = false;
    quiet.push(...(await issue(`quiet-${round}`, 10)));
    isScraping = true;
    scraped.push(...(await issue(`scraped-${round}`, 10)));
    if (scrapeTimes.length >= scrapeCount / 4) {
      early ??= await usage();
    }
    await Promise.race([scraping, sleep(2_000)]);
  }
  await scraping;
  const late = await usage();
  const ratio = (share: number): string => (quantile(scraped, share) / quantile(quiet, share)).toFixed(2);
  const lines = [
    `scrape with 50 volumes: median ${quantile(scrapeTimes, 0.5).toFixed(1)} ms, 99th percentile ${quantile(scrapeTimes, 0.99).toFixed(1)} ms`,
    `publish call while scraped against in quiet: median × ${ratio(0.5)}, 90th percentile × ${ratio(0.9)} (${quiet.length} and ${scraped.length} pods)`,
    `resident memory ${early?.rss.toFixed(0)} MB → ${late.rss.toFixed(0)} MB, heap ${early?.heap.toFixed(0)} MB → ${late.heap.toFixed(0)} MB, files ${early?.files} → ${late.files}, lines of metrics ${early?.series} → ${late.series}`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
} finally {
  agent.kill('SIGTERM');
  await cluster.close();
  rmSync(directory, { recursive: true, force: true });
}

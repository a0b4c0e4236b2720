/**
 * The demonstration: a cluster in this process, the agent and two workloads in theirs, and the story of two rotations.
 */
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../base/errors.ts';
import type { PodRequest } from '../cluster/admin.ts';
import { type Cluster, startCluster } from '../cluster/cluster.ts';
import { podVolume } from '../kubelet/pod.ts';
import type { KubeletNotice } from '../kubelet/surroundings.ts';
import { type AgentProcess, lastLines, startAgentProcess } from './agent-process.ts';
import { type Caretaker, startCaretaker } from './caretaker.ts';
import { demoIssuers } from './issuers.ts';
import { countLine, createNarrator, identityLines, type Narrator, podLine, type Terminal } from './narrator.ts';
import type { DemoOptions } from './options.ts';
import { demoNamespace, demoSigner, keyTypePods, workloadPod } from './pods.ts';
import { exchangeAuthorities, seeNewLeaves } from './rotations.ts';
import { createSightings, missing, type Sightings, type Views, type WorkloadName } from './sightings.ts';
import { readSwitches, switchesHelp } from './switches.ts';
import { makeWorkDirectory, removeLeftWorkDirectories, removeWorkDirectory } from './work-directory.ts';
import { runWorkloads } from './workload-processes.ts';

/** A real cluster's shortest lifetime of a certificate; the sandbox's minimums shrink to the lifetime asked for. */
const realShortestLifetimeSeconds = 3600;
const counterMs = 1000;
const shownLogLines = 5;

/** What the parts of the story share. */
interface Stage {
  readonly options: DemoOptions;
  readonly narrator: Narrator;
  readonly sightings: Sightings;
  readonly cluster: Cluster;
  readonly agent: AgentProcess;
  readonly logFile: string;
  /** Durations of the pods' volumes, by pod. */
  readonly mounts: ReadonlyMap<string, number>;
  /** Whether somebody can type what the signer is to do. */
  readonly canSwitch: boolean;
  readonly signal: AbortSignal;
}

/**
 * Runs the demonstration until it is stopped, or with `once` until its end.
 * @param stopping fires when a person wants it to end
 * @param input what a person types; absent: nobody does
 * @returns the exit code
 */
export async function runDemo(
  options: DemoOptions,
  terminal: Terminal,
  stopping: AbortSignal,
  input?: NodeJS.ReadableStream,
): Promise<number> {
  const started = performance.now();
  const narrator = createNarrator(terminal, () => performance.now() - started);
  let directory: string;
  let caretaker: Caretaker | undefined;
  try {
    for (const left of await removeLeftWorkDirectories()) {
      narrator.plain(`Removed what a demonstration that was killed has left: ${left}`);
    }
    directory = await makeWorkDirectory(options.directory);
    caretaker = options.keep ? undefined : await startCaretaker(directory);
  } catch (error) {
    narrator.plain(messageOf(error));
    return 2;
  }
  const sightings = createSightings();
  const trouble = new AbortController();
  const onProblem = (message: string) => trouble.abort(new Error(message));
  const watchdog = setTimeout(() => onProblem('it takes too long'), watchdogMs(options));
  if (!options.once) {
    clearTimeout(watchdog);
  }
  const signal = AbortSignal.any([stopping, trouble.signal]);
  const cleanups: (() => Promise<unknown>)[] = [];
  const logFile = join(directory, 'agent.log');
  try {
    const mounts = new Map<string, number>();
    const cluster = await startStageCluster(options, directory, sightings, mounts, onProblem);
    cleanups.push(cluster.stopKubelet, cluster.close);
    if (input !== undefined && options.issuer === 'podCertificateRequest') {
      const stopReading = readSwitches(input, cluster.signer(demoSigner), narrator.step);
      cleanups.push(async () => stopReading());
    }
    const issuer = demoIssuers[options.issuer];
    // Workloads first, then the agent, then who answers it, then the API server: nobody finds anybody gone.
    const { lifetimeSeconds } = options;
    cleanups.splice(1, 0, await issuer.start({ cluster, lifetimeSeconds, onProblem }));
    const agent = await startAgentProcess({
      cluster,
      flags: issuer.agentFlags,
      ...(options.verbose ? {} : { logFile }),
      onUnexpectedExit: (how) => onProblem(`the agent ended: ${how}`),
    });
    cleanups.splice(1, 0, agent.stop);
    return await tell({
      options,
      narrator,
      sightings,
      cluster,
      agent,
      logFile,
      mounts,
      canSwitch: input !== undefined,
      signal,
    });
  } catch (error) {
    if (stopping.aborted) {
      narrator.plain(`\n${countLine(sightings.views())}. Stopped.`);
      return options.once ? 1 : 0;
    }
    await tellFailure(error, narrator, sightings, options.verbose ? undefined : logFile);
    return 1;
  } finally {
    clearTimeout(watchdog);
    for (const cleanup of cleanups) {
      await cleanup();
    }
    if (options.keep) {
      narrator.pointer('kept', directory);
    } else {
      await removeWorkDirectory(directory);
    }
    await caretaker?.dismiss();
  }
}

async function tellFailure(error: unknown, narrator: Narrator, sightings: Sightings, logFile: string | undefined) {
  narrator.plain(`\nThat did not go well: ${messageOf(error)}`);
  for (const fault of missing(sightings.views(), undefined)) {
    narrator.plain(`  ${fault}`);
  }
  if (logFile !== undefined) {
    const lines = await lastLines(logFile, shownLogLines).catch(() => []);
    narrator.plain(['The end of the agent’s log:', ...lines].join('\n  '));
  }
}

async function startStageCluster(
  options: DemoOptions,
  directory: string,
  sightings: Sightings,
  mounts: Map<string, number>,
  onProblem: (message: string) => void,
): Promise<Cluster> {
  const { kubernetes, lifetimeSeconds } = options;
  const onNotice = (notice: KubeletNotice) => {
    if (notice.type === 'mounted') {
      mounts.set(notice.pod.metadata.name, notice.tookMs);
    }
  };
  return await startCluster({
    directory,
    kubernetes,
    timeScale: Math.max(1, realShortestLifetimeSeconds / lifetimeSeconds),
    signers: [{ signerName: demoSigner, lifetimeSeconds }],
    schedulesPods: true,
    kubelet: { onNotice, startContainers: runWorkloads(sightings, onProblem) },
  });
}

async function tell(stage: Stage): Promise<number> {
  const { options, narrator, sightings, cluster, agent, mounts, signal } = stage;
  const { kubernetes, lifetimeSeconds } = options;
  narrator.plain(`Kubernetes ${kubernetes} with one node, the signer ${demoSigner}, and the agent.`);
  for (const line of demoIssuers[options.issuer].said) {
    narrator.plain(line);
  }
  narrator.plain('Ctrl-C ends it and leaves nothing behind.');
  await agent.ready(signal);
  narrator.step(`The API server is ${cluster.apiServer.url}, the agent is process ${agent.pid}.`);

  narrator.heading('Each kind of key in a pod of its own; the time is what its volume took.');
  await startWorkload(stage, 'server');
  for (const { keyType, pod } of keyTypePods) {
    await startPod(stage, pod);
    narrator.step(podLine(pod.name, keyType, mounts.get(pod.name) ?? 0));
  }

  narrator.heading('Two workloads speak mutual TLS with the files in their volumes.');
  await sightings.until(({ server }) => server.port !== undefined, signal);
  await startWorkload(stage, 'client');
  await sightings.until(({ server, client }) => server.peer !== undefined && client.peer !== undefined, signal);
  for (const line of identityLines(sightings.views())) {
    narrator.step(line);
  }

  lookAround(stage);
  narrator.heading(`Certificates live ${lifetimeSeconds} s here and are renewed halfway; then the CA is exchanged.`);
  await seeNewLeaves(sightings, narrator, signal);
  const newIssuer = await exchangeAuthorities(cluster.signer(demoSigner), sightings, narrator, signal);
  // One more report of the client: what came after the last step counts too.
  const { requests } = sightings.views().client;
  await sightings.until(({ client }) => client.requests > requests, signal);
  const faults = missing(sightings.views(), newIssuer);
  narrator.heading(`${countLine(sightings.views())}.`);
  for (const fault of faults) {
    narrator.plain(`  ${fault}`);
  }
  if (options.once) {
    return faults.length === 0 ? 0 : 1;
  }
  narrator.plain('All of it goes on until Ctrl-C.');
  return await goOn(stage);
}

/** Counts on until the signal is aborted. */
async function goOn({ narrator, sightings, signal }: Stage): Promise<never> {
  const failuresOf = ({ server, client }: Views) => [...server.failures, ...client.failures];
  for (let told = failuresOf(sightings.views()).length; ; ) {
    await sleep(counterMs, undefined, { signal });
    const failures = failuresOf(sightings.views());
    for (const failure of failures.slice(told)) {
      narrator.step(failure);
    }
    told = failures.length;
    narrator.counter(countLine(sightings.views()));
  }
}

async function startPod({ cluster, signal }: Stage, pod: PodRequest): Promise<void> {
  await cluster.admin.createPod(pod);
  await aborting(signal, cluster.admin.podRunning(demoNamespace, pod.name));
}

async function startWorkload(stage: Stage, name: WorkloadName): Promise<void> {
  await startPod(stage, workloadPod(name));
}

function lookAround({ options, narrator, cluster, agent, logFile, canSwitch }: Stage): void {
  const pod = cluster.apiServer.store.get('pods', demoNamespace, 'server');
  const volume = podVolume(cluster.kubeletRoot, pod?.metadata.uid ?? '', 'mtls');
  narrator.heading('Look around:');
  narrator.pointer('files', volume.targetPath);
  narrator.pointer('kubectl', `kubectl --kubeconfig ${cluster.kubeconfigs.admin} -n ${demoNamespace} get pods,events`);
  narrator.pointer('log', options.verbose ? 'here' : logFile);
  narrator.pointer('metrics', `${agent.url}/metrics`);
  narrator.pointer('page', `${agent.url}/statusz`);
  narrator.pointer('status', `npm run agent -- status --address ${new URL(agent.url).host}`);
  narrator.heading('Play:');
  narrator.pointer('pods', `kubectl --kubeconfig ${cluster.kubeconfigs.admin} apply -f POD.yaml`);
  narrator.plain(
    '          Any pod that names this signer, such as the one in README.md; delete takes its volume down.',
  );
  if (canSwitch && options.issuer === 'podCertificateRequest') {
    narrator.pointer('signer', switchesHelp);
  }
  for (const line of limits()) {
    narrator.plain(line);
  }
}

/** What is not as in a cluster, for a person who plays. */
function limits(): readonly string[] {
  return [
    'Not served: Deployments and whatever else makes pods, Services, ConfigMaps, Secrets, logs, exec, port-forward. A pod’s',
    'containers count as running and run nothing; its volumes are real, in directories in place of memory: the',
    `files belong to ${userInfo().username}, whatever runAsUser and fsGroup say, and their keys lie on a disk if the directory does.`,
  ];
}

/** Waits for a promise or the signal, whichever comes first. @throws the signal's reason */
async function aborting<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  const ended = Promise.withResolvers<never>();
  const end = () => ended.reject(signal.reason);
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) {
    end();
  }
  try {
    // The race listens to both, so neither is left with a rejection that nobody handles.
    return await Promise.race([promise, ended.promise]);
  } finally {
    signal.removeEventListener('abort', end);
  }
}

/** Generous: a busy machine may need several times as long as an idle one. */
function watchdogMs({ lifetimeSeconds }: DemoOptions): number {
  return 90_000 + lifetimeSeconds * 4_000;
}

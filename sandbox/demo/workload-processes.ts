/**
 * Starts the processes of the two workloads when the kubelet starts the containers of their pods, and gathers what they
 * report.
 */
import type { StartContainers } from '../kubelet/surroundings.ts';
import { demoNamespace, workloadId } from './pods.ts';
import { startProcess } from './processes.ts';
import { type Sightings, type WorkloadName, workloadNames } from './sightings.ts';
import { parseReport } from './workloads/report.ts';

/** A kubelet's hook: pods that are no workloads have containers that do nothing. */
export function runWorkloads(sightings: Sightings, onProblem: (message: string) => void): StartContainers {
  return async (pod, mounts) => {
    const name = workloadNames.find((each) => each === pod.metadata.name);
    const [volume] = mounts.values();
    if (pod.metadata.namespace !== demoNamespace || name === undefined || volume === undefined) {
      return { stop: async () => {} };
    }
    const child = startProcess({
      script: `sandbox/demo/workloads/${name}.ts`,
      args: ['--volume', volume, ...peerArguments(name, sightings)],
      output: 'lines',
      onLine: (line) => {
        const report = parseReport(line);
        if (report !== undefined) {
          sightings.record(name, report);
        }
      },
      onUnexpectedExit: (how) => onProblem(`the ${name} ended: ${how}`),
    });
    return { stop: child.stop };
  };
}

/** Each expects the other's identity; the client is told where the server listens. */
function peerArguments(name: WorkloadName, sightings: Sightings): readonly string[] {
  if (name === 'server') {
    return ['--peer', workloadId('client')];
  }
  return ['--peer', workloadId('server'), '--port', String(sightings.views().server.port ?? 0)];
}

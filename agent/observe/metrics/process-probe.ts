/**
 * What the operating system and the runtime say about this process, under the names that Prometheus' client libraries
 * give it, so that existing dashboards work.
 *
 * https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics
 */
import { readdirSync } from 'node:fs';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';

/** Gauges by their key in the metric table. */
export type ProcessGauges = Readonly<
  Record<
    | 'processResidentMemory'
    | 'processStartTime'
    | 'processOpenFiles'
    | 'heapUsed'
    | 'externalMemory'
    | 'eventLoopLagP50'
    | 'eventLoopLagP99'
    | 'eventLoopUtilization',
    number
  >
>;

export interface ProcessProbe {
  /** CPU time spent since the call before (the first time: since the process started), and the gauges as of now. */
  read(): { readonly cpuSeconds: number; readonly gauges: ProcessGauges };
  /** Ends the measurement of the event loop's delay. */
  close(): void;
}

/** How often the delay of the event loop is sampled. */
const delayResolutionMs = 20;

export function createProcessProbe(): ProcessProbe {
  const delay = monitorEventLoopDelay({ resolution: delayResolutionMs });
  delay.enable();
  let utilization = performance.eventLoopUtilization();
  let countedCpuMicroseconds = 0;

  return {
    read: () => {
      const { rss, heapUsed, external } = process.memoryUsage();
      const { user, system } = process.cpuUsage();
      const cpuSeconds = (user + system - countedCpuMicroseconds) / 1e6;
      countedCpuMicroseconds = user + system;
      const now = performance.eventLoopUtilization();
      const gauges: ProcessGauges = {
        processResidentMemory: rss,
        processStartTime: performance.timeOrigin / 1_000,
        processOpenFiles: countOpenFiles(),
        heapUsed,
        externalMemory: external,
        eventLoopLagP50: lagSeconds(delay.percentile(50)),
        eventLoopLagP99: lagSeconds(delay.percentile(99)),
        eventLoopUtilization: performance.eventLoopUtilization(now, utilization).utilization,
      };
      delay.reset();
      utilization = now;
      return { cpuSeconds, gauges };
    },
    close: () => void delay.disable(),
  };
}

/** The measured interval includes the one that was asked for; what exceeds it is lag. */
function lagSeconds(intervalNanoseconds: number): number {
  return Math.max(0, intervalNanoseconds / 1e9 - delayResolutionMs / 1_000);
}

/** Linux only; 0 elsewhere, where only the sandbox runs. */
function countOpenFiles(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return 0;
  }
}

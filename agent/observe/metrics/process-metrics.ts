/**
 * Metrics of the process, under the names that prom-client gives them everywhere. One is measured otherwise: how late the event loop is
 * with what is due. prom-client's own measure wakes the process a hundred times a second, which was most of what an agent cost that had
 * nothing to do, and counts its interval of ten milliseconds as lag.
 *
 * https://nodejs.org/api/perf_hooks.html#perf_hooksmonitoreventloopdelayoptions
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { collectDefaultMetrics, Gauge, type Registry } from 'prom-client';

type Delays = ReturnType<typeof monitorEventLoopDelay>;

/** How often prom-client looks, milliseconds: it cannot be told not to. The longest that a timer takes. */
const never = 2 ** 31 - 1;
const lagPrefix = 'nodejs_eventloop_lag_';

/** Between two looks, milliseconds: whatever holds the loop up for longer is always seen. */
const resolutionMs = 100;

/** By what follows the prefix; nanoseconds from one look to the next. */
const lagRows: Readonly<Record<string, readonly [help: string, read: (delays: Delays) => number]>> = {
  max_seconds: ['The longest delay of the event loop since the last reading.', ({ max }) => max],
  mean_seconds: ['The mean delay of the event loop since the last reading.', ({ mean }) => mean],
  p50_seconds: ['The 50th percentile of the delays since the last reading.', (delays) => delays.percentile(50)],
  p90_seconds: ['The 90th percentile of the delays since the last reading.', (delays) => delays.percentile(90)],
  p99_seconds: ['The 99th percentile of the delays since the last reading.', (delays) => delays.percentile(99)],
};

/** Adds them all. */
export function measureProcess(registry: Registry): void {
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: never });
  for (const { name } of registry.getMetricsAsArray()) {
    if (name.startsWith(lagPrefix)) {
      registry.removeSingleMetric(name);
    }
  }
  const delays = monitorEventLoopDelay({ resolution: resolutionMs });
  delays.enable();
  const gauges = Object.entries(lagRows).map(([name, [help, read]], index) => {
    // They are read in the order in which they were added.
    const collect = index === 0 ? { collect: setAll } : {};
    return { gauge: new Gauge({ name: lagPrefix + name, help, registers: [registry], ...collect }), read };
  });

  function setAll(): void {
    for (const { gauge, read } of gauges) {
      // Nothing was measured within the first interval.
      gauge.set(delays.count === 0 ? 0 : Math.max(0, read(delays) / 1e6 - resolutionMs) / 1000);
    }
    delays.reset();
  }
}

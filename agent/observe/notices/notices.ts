/**
 * Turns each notice of the lifecycle into exactly one log line, the metrics it counts in, and, where the pod's author
 * should see it, an event on the pod.
 */
import type { PodReference } from '../../../volumes/base/volume.ts';
import type { Reporter } from '../../lifecycle/notices.ts';
import type { Logger } from '../log/log.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { EventText } from './event-text.ts';
import { lineOf } from './notice-lines.ts';
import { createNoticeCounter } from './notice-metrics.ts';
import { describeForPod } from './pod-events.ts';

/** An event to be recorded on a pod. The message is one line of at most 1024 characters. */
export interface PodEvent extends EventText {
  readonly pod: PodReference;
  /** The volume's source that it is about: the same reason again for the same series is a repetition, whatever it says. */
  readonly series: string;
}

/** Takes an event and returns at once; merging events and limiting their rate is its own task. */
export type EventSink = (event: PodEvent) => void;

/** Creates the reporter that the lifecycle calls. It never throws, whatever the sink does. */
export function createReporter(options: {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly events: EventSink;
}): Reporter {
  const { log, metrics, events } = options;
  const countNotice = createNoticeCounter(metrics);
  return (notice) => {
    const { level, message, fields } = lineOf(notice);
    log[level](message, fields);
    countNotice(notice);
    const event = describeForPod(notice);
    if (event === undefined) {
      return;
    }
    const { pod, volumeName } = notice.volume;
    const series = 'source' in notice ? `${volumeName}/${notice.source}` : volumeName;
    try {
      events({ pod, series, ...event });
    } catch (error) {
      log.error('an event could not be queued', { ...fields, reason: event.reason, error });
    }
  };
}

/**
 * What the HTTP endpoint serves: `/metrics` for Prometheus, probes, `/statusz` and `/flagz` for people.
 */

import { type Health, healthReply } from '../health.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { type Reply, textReply } from '../reply.ts';
import type { StatusSources } from '../status/document.ts';
import { createStatusReply } from '../status/status.ts';

/** The parts of a request that its answer depends on. */
export interface Question {
  readonly query: URLSearchParams;
  /** The Accept header, or nothing. */
  readonly accept: string;
  /** False when it is not known who asks, or they may not know the details. */
  readonly told: boolean;
}

export interface Route {
  /** True for what a probe asks: it has no credentials, and gets an answer without details. */
  readonly open: boolean;
  answer(question: Question): Reply | Promise<Reply>;
}

export interface RouteSources {
  readonly metrics: Metrics;
  readonly health: Health;
  readonly status: Omit<StatusSources, 'ready'>;
  /** The options in force, one `--flag=value` a line. */
  flags(): readonly string[];
}

/** Routes by their path. */
export function createRoutes({ metrics, health, status, flags }: RouteSources): ReadonlyMap<string, Route> {
  const statusReply = createStatusReply();
  let rendering: Promise<Reply> | undefined;
  const render = async (): Promise<Reply> => {
    const { contentType, body } = await metrics.render();
    return { status: 200, contentType, body };
  };
  const probe = (name: string, checks: Health['live']): Route => ({
    open: true,
    answer: ({ query, told }) => healthReply(name, checks(), query.has('verbose'), told),
  });
  const live = probe('livez', health.live);
  return new Map<string, Route>([
    [
      '/metrics',
      {
        open: false,
        // Scrapes that come while one is being rendered share its result.
        answer: () => {
          rendering ??= render().finally(() => {
            rendering = undefined;
          });
          return rendering;
        },
      },
    ],
    ['/livez', live],
    ['/healthz', live],
    ['/readyz', probe('readyz', health.ready)],
    [
      '/statusz',
      {
        open: false,
        answer: ({ query, accept }) => statusReply({ ...status, ready: health.ready }, query, accept),
      },
    ],
    ['/flagz', { open: false, answer: () => textReply(200, flags().join('\n')) }],
  ]);
}

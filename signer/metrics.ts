/** What the signer counts, for Prometheus. Nothing else in the signer knows the library. */
import { Counter, Gauge, Registry } from 'prom-client';

export interface Sources {
  readonly isLeading: () => boolean;
  /** Requests without an answer. */
  readonly waiting: () => number;
  /** End of the CA that signs, milliseconds since the epoch; absent: there is none. */
  readonly authorityEnd: () => number | undefined;
}

export type Api = 'PodCertificateRequest' | 'CertificateSigningRequest';
export type Outcome = 'issued' | 'denied' | 'failed' | 'approved';

export interface SignerMetrics {
  answered(api: Api, outcome: Outcome): void;
  /** Something could not be done and is tried again. */
  faulty(): void;
  observe(sources: Sources): void;
  /** The text that Prometheus reads, and its content type. */
  text(): Promise<{ readonly text: string; readonly type: string }>;
}

const prefix = 'pod_certificate_signer';

/** Name and help of each; docs/signers.md has the same. */
export const metricRows = {
  answers: { name: `${prefix}_answers_total`, help: 'Requests answered, by API and outcome.' },
  faults: { name: `${prefix}_faults_total`, help: 'Calls and steps that failed and are tried again.' },
  leader: { name: `${prefix}_leader`, help: '1 in the replica that answers, 0 in those that stand by.' },
  waiting: { name: `${prefix}_waiting_requests`, help: 'Requests without an answer, in the replica that answers.' },
  authorityEnd: {
    name: `${prefix}_authority_expiration_timestamp_seconds`,
    help: 'When the CA that signs expires; absent while there is none.',
  },
} as const;

export function createMetrics(): SignerMetrics {
  const registry = new Registry();
  const registers = [registry];
  const answers = new Counter({ ...metricRows.answers, labelNames: ['api', 'outcome'], registers });
  const faults = new Counter({ ...metricRows.faults, registers });
  let sources: Sources = { isLeading: () => false, waiting: () => 0, authorityEnd: () => undefined };
  const gauge = (row: { name: string; help: string }, read: () => number | undefined): void => {
    new Gauge({
      ...row,
      registers,
      collect() {
        const value = read();
        this.reset();
        if (value === undefined) {
          this.remove();
        } else {
          this.set(value);
        }
      },
    });
  };
  gauge(metricRows.leader, () => Number(sources.isLeading()));
  gauge(metricRows.waiting, () => sources.waiting());
  gauge(metricRows.authorityEnd, () => {
    const end = sources.authorityEnd();
    return end === undefined ? undefined : end / 1000;
  });
  return {
    answered: (api, outcome) => answers.inc({ api, outcome }),
    faulty: () => faults.inc(),
    observe(given) {
      sources = given;
    },
    text: async () => ({ text: await registry.metrics(), type: registry.contentType }),
  };
}

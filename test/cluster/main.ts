/**
 * `npm run test:cluster`: the suite against the cluster of a kubeconfig.
 */
import { messageOf } from '../../volumes/base/errors.ts';
import { openAccess } from './access.ts';
import { help, parseOptions } from './options.ts';
import { findOffers } from './server.ts';
import { clusterSuite } from './suite.ts';

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Longest time for taking everything away after an interruption, milliseconds. */
const clearWithinMs = 30_000;

async function run(): Promise<void> {
  const options = parseOptions(process.argv.slice(2), process.env);
  if (options === 'help') {
    process.stdout.write(help);
    return;
  }
  const { kubeconfig, withAgent } = options;
  const access = await openAccess(kubeconfig);
  try {
    const { gitVersion, requestApis } = await findOffers(access);
    const apis = requestApis.map(({ apiVersion, evidence }) => `${apiVersion} (${evidence})`);
    say(`${access.admin.target.url}: Kubernetes ${gitVersion}, PodCertificateRequests as ${apis.join(', ')}`);
  } finally {
    access.close();
  }
  clusterSuite({ kubeconfig: () => kubeconfig, withAgent, onGround: clearWhenInterrupted });
}

/** A second signal ends the process at once. */
function clearWhenInterrupted(clear: () => Promise<void>): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      say(`${signal}: what the suite made is removed first`);
      setTimeout(() => process.exit(1), clearWithinMs);
      void clear()
        .catch((error: unknown) => say(`something may be left: ${messageOf(error)}`))
        .finally(() => process.exit(signal === 'SIGINT' ? 130 : 143));
    });
  }
}

run().catch((error: unknown) => {
  say(messageOf(error));
  process.exitCode = 2;
});

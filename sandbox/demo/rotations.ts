/**
 * The two rotations of the demonstration, told as the workloads see them.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Signer } from '../signers/signer.ts';
import { identityLines, type Narrator } from './narrator.ts';
import type { Sightings, Views } from './sightings.ts';

const bothViews = (views: Views, accept: (view: Views['server']) => boolean) =>
  accept(views.server) && accept(views.client);

/** Waits until each workload has met a new certificate of the other. */
export async function seeNewLeaves(sightings: Sightings, narrator: Narrator, signal: AbortSignal): Promise<void> {
  await sightings.until((views) => bothViews(views, (view) => view.peerCertificates >= 2), signal);
  narrator.step('New leaves, without a connection lost:');
  for (const line of identityLines(sightings.views())) {
    narrator.step(line);
  }
}

/**
 * Exchanges the signer's authority step by step, each when the workloads are ready for it.
 * @returns the name of the new issuer
 */
export async function exchangeAuthorities(
  signer: Signer,
  sightings: Sightings,
  narrator: Narrator,
  signal: AbortSignal,
): Promise<string> {
  await signer.publishNextRoot();
  await sightings.until((views) => bothViews(views, (view) => view.anchors.length === 2), signal);
  narrator.step('New CA: its root stands beside the old one, and both workloads trust both.');

  signer.issueFromNext();
  const newIssuer = issuerName(signer);
  await sightings.until((views) => bothViews(views, (view) => view.peer?.issuer === newIssuer), signal);
  narrator.step('Leaves of the new CA:');
  for (const line of identityLines(sightings.views())) {
    narrator.step(line);
  }

  while (signer.oldCertificatesEnd() > Date.now()) {
    await sleep(signer.oldCertificatesEnd() - Date.now(), undefined, { signal });
  }
  await signer.withdrawOldRoots();
  await sightings.until((views) => bothViews(views, (view) => view.anchors.length === 1), signal);
  narrator.step('The last leaf of the old CA has expired; its root is withdrawn.');
  return newIssuer;
}

function issuerName(signer: Signer): string {
  return signer.authority().intermediateName.replace(/^CN=/, '');
}

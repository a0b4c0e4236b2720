/** What a pod's author is told of trust anchors. */
import type { FederationChange, Notice } from '../../lifecycle/notices.ts';
import { byTheChart, type EventText, normal, place, quote, warning } from './event-text.ts';

export function federationChanged(
  notice: Notice & { readonly type: 'anchorsProjected' },
  { come, gone }: FederationChange,
): EventText {
  const changes = [
    ...(come.length === 0 ? [] : [`peers of ${namesText(come)} can be verified from now on`]),
    ...(gone.length === 0
      ? []
      : [`peers of ${namesText(gone)} cannot be verified any more, since its bundles are gone`]),
  ];
  return normal('TrustDomainsChanged', [`${place(notice)}: ${changes.join('; ')}.`]);
}

const mostNames = 5;

function namesText(names: readonly string[]): string {
  const more = names.length - mostNames;
  const shown = names.slice(0, mostNames).join(', ');
  return more > 0 ? `${shown} and ${more} more trust domains` : `trust domain ${shown}`;
}

export function anchorsExpired(notice: Notice & { readonly type: 'anchorsExpired' }): EventText {
  const { expired, dropped } = notice;
  const [number, have, are, stay] = expired === 1 ? ['one', 'has', 'is', 'stays'] : [expired, 'have', 'are', 'stay'];
  return warning('TrustAnchorsExpired', [
    `${place(notice)}: ${number} of the trust anchors selected ${have} expired`,
    dropped ? `and ${are} left out of the file, as the source says (expired: drop).` : `and ${stay} in the file.`,
    'Whoever publishes the ClusterTrustBundle should take expired anchors out of it;',
    dropped
      ? 'what they signed is no longer trusted.'
      : 'with expired: drop in the source the agent does so for this volume.',
  ]);
}

export function trustBundleMissing(notice: Notice & { readonly type: 'anchorsMissing' }): EventText {
  const { message, isOperators = false, kept = false } = notice;
  const correct = 'Correct the source, or ask whoever runs the signer to publish the ClusterTrustBundle;';
  return warning('TrustBundleMissing', [
    `${place(notice)}: ${quote(message)}`,
    ...(kept === false
      ? []
      : [`The trust anchors ${kept === 'own' ? "of the pod's own trust domain" : 'in the volume'} stay as they are.`]),
    isOperators
      ? `Ask the cluster operator: nothing in the pod can mend this. ${byTheChart}`
      : `${correct} the files follow by themselves.`,
    // A pod that runs does not start any more, and is not advised to go without what it has.
    ...(isOperators || kept ? [] : ['With optional: true the pod starts without anchors, and can verify nobody.']),
  ]);
}

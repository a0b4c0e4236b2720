/**
 * All cases, by what they are about.
 */
import { bundleCases } from './bundles.ts';
import type { RuleCase } from './case.ts';
import { creationCases } from './creation.ts';
import { keyCases } from './creation-keys.ts';
import { impersonationCases } from './impersonation.ts';
import { nodeObjectCases } from './node-objects.ts';
import { nodeCases } from './nodes.ts';
import { otherCases } from './others.ts';
import { restrictionCases } from './restriction.ts';
import { statusCases } from './status.ts';

export const allCases: Readonly<Record<string, readonly RuleCase[]>> = {
  'Keys in PodCertificateRequests': keyCases,
  'Creation of PodCertificateRequests': creationCases,
  'Updates of PodCertificateRequests': statusCases,
  ClusterTrustBundles: bundleCases,
  'Access of nodes': nodeCases,
  'Restriction of nodes': restrictionCases,
  Impersonation: impersonationCases,
  'Objects of nodes': nodeObjectCases,
  'Other objects': otherCases,
};

/**
 * cert-manager's resources, which a cluster serves once their definitions are installed. They are custom resources: unlike
 * built-in ones they are never updated without a resourceVersion, and know no strategic merge patch.
 *
 * https://cert-manager.io/docs/reference/api-docs/
 */
import { dropStatus, type ResourceType, resource, stampRequester } from './resource-type.ts';
import { certificateRequest, issuer } from './schemas/cert-manager.ts';

export const certManagerGroup = 'cert-manager.io';

const common = {
  group: certManagerGroup,
  categories: ['cert-manager'],
  statusSubresources: ['status'],
  unconditionalUpdate: false,
  strategicMerge: false,
};

function issuerType(kind: 'Issuer' | 'ClusterIssuer'): ResourceType {
  const singular = kind.toLowerCase();
  return resource({
    ...common,
    resource: `${singular}s`,
    singular,
    kind,
    namespaced: kind === 'Issuer',
    schema: () => issuer(kind),
    prepareForCreate: dropStatus,
  });
}

export const certManagerTypes: readonly ResourceType[] = [
  resource({
    ...common,
    resource: 'certificaterequests',
    singular: 'certificaterequest',
    kind: 'CertificateRequest',
    shortNames: ['cr', 'crs'],
    namespaced: true,
    schema: () => certificateRequest,
    prepareForCreate: stampRequester,
  }),
  issuerType('Issuer'),
  issuerType('ClusterIssuer'),
];

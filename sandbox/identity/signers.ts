/**
 * Who may act for a signer: verbs on the virtual resource `signers`, for one signer by name or for a domain's signers
 * as `domain/*`.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#authorization
 */
import type { RulesContext, UserInfo } from '../base/cluster-rules.ts';
import type { Authorizer } from './access.ts';

/** True when the user may `sign`, `attest` or `approve` for the signer. */
export function mayActFor(
  authorize: Authorizer,
  user: UserInfo,
  verb: 'sign' | 'attest' | 'approve',
  signerName: string,
  context: RulesContext,
): boolean {
  const [domain = ''] = signerName.split('/');
  return [signerName, `${domain}/*`].some(
    (name) =>
      authorize(
        {
          kind: 'resource',
          user,
          verb,
          apiGroup: 'certificates.k8s.io',
          apiVersion: '*',
          resource: 'signers',
          subresource: '',
          namespace: '',
          name,
        },
        context,
      ).allowed,
  );
}

/**
 * The cluster's rules as the API server asks for them: who may do what, and what an object must look like.
 *
 * https://kubernetes.io/docs/concepts/security/controlling-access/
 */

import type { AdmissionRequest, Rules, RulesContext, ValidationRequest } from '../base/cluster-rules.ts';
import { type ApiError, type FieldError, fieldError } from '../base/errors.ts';
import { objectAt, sameJson, stringAt } from '../base/fields.ts';
import type { ApiObject } from '../base/objects.ts';
import { type Authorizer, anyOf, authorizeMasters, groupResource } from '../identity/access.ts';
import { impersonate } from '../identity/impersonation.ts';
import { authorizeNode } from '../identity/node-authorizer.ts';
import { authorizeByRoles, rulesFor } from '../identity/rbac.ts';
import { mayActFor } from '../identity/signers.ts';
import { refuse } from '../rules/admission.ts';
import { refusedByPolicy } from '../rules/admission-policy.ts';
import * as certificateRequests from '../rules/certificate-request.ts';
import * as signingRequests from '../rules/certificate-signing-request.ts';
import * as bundles from '../rules/cluster-trust-bundle.ts';
import { restrictNode } from '../rules/node-restriction.ts';
import * as others from '../rules/other-objects.ts';
import * as requests from '../rules/pod-certificate-request.ts';
import { statusFaults } from '../rules/request-status.ts';

const requestsResource = 'podcertificaterequests.certificates.k8s.io';
const signingRequestsResource = 'certificatesigningrequests.certificates.k8s.io';
const bundlesResource = 'clustertrustbundles.certificates.k8s.io';

export interface RulesOptions {
  /** Asked after the cluster's own authorizers, as a webhook would be; absent: nobody else is asked. */
  readonly authorizer?: Authorizer;
}

/** The rules of a cluster with authorization modes Node and RBAC and the admission plugins that certificates need. */
export function createRules(options: RulesOptions = {}): Rules {
  const more = options.authorizer === undefined ? [] : [options.authorizer];
  const authorize = anyOf(authorizeMasters, authorizeNode, authorizeByRoles, ...more);
  return {
    authorize,
    rulesFor,
    impersonate: (headers, attributes, context) => impersonate(headers, attributes, authorize, context),
    default: (request, context) => {
      if (request.resource === requestsResource) {
        requests.defaultRequest(request, context);
      } else {
        others.defaultObject(request);
      }
    },
    admit: (request, context) => {
      if (request.phase === 'before validation') {
        return restrictNode(request, authorize, context);
      }
      const refused =
        request.operation === 'delete'
          ? restrictNode(request, authorize, context)
          : (attestationFault(request, authorize, context) ?? signerActionFault(request, authorize, context));
      return (
        refused ??
        refusedByPolicy(request, context) ??
        certificateRequests.refusedByCertManager(request, authorize, context)
      );
    },
    validateCreate: (request, context) => createFaults(request, context),
    validateUpdate: (request, old) => updateFaults(request, old),
    validateStatusUpdate: (request, old, context) => statusUpdateFaults(request, old, authorize, context),
  };
}

function createFaults(request: ValidationRequest, context: RulesContext): FieldError[] {
  switch (request.resource) {
    case requestsResource:
      return requests.createFaults(request, context);
    case signingRequestsResource:
      return signingRequests.createFaults(request);
    case certificateRequests.certificateRequestsResource:
      return certificateRequests.createFaults(request);
    case bundlesResource:
      return bundles.createFaults(request);
    default:
      return others.createFaults(request);
  }
}

function updateFaults(request: ValidationRequest, old: ApiObject): FieldError[] {
  switch (request.resource) {
    case requestsResource:
      return requests.updateFaults(request, old);
    case signingRequestsResource:
      return signingRequests.updateFaults(request, old);
    case certificateRequests.certificateRequestsResource:
      return certificateRequests.updateFaults(request);
    case bundlesResource:
      return bundles.updateFaults(request, old);
    default:
      return others.updateFaults(request, old);
  }
}

function statusUpdateFaults(
  request: ValidationRequest,
  old: ApiObject,
  authorize: Authorizer,
  context: RulesContext,
): FieldError[] {
  switch (request.resource) {
    case requestsResource:
      return signedStatusFaults(request, old, authorize, context);
    case signingRequestsResource:
      return signingRequests.statusFaults(request, old);
    case certificateRequests.certificateRequestsResource:
      return certificateRequests.updateFaults(request);
    default:
      return others.updateFaults(request, old);
  }
}

/** The right to sign is looked at last, and only when something changes. */
function signedStatusFaults(
  request: ValidationRequest,
  old: ApiObject,
  authorize: Authorizer,
  context: RulesContext,
): FieldError[] {
  const faults = statusFaults(request, old, context);
  const signerName = stringAt(objectAt(old, 'spec'), 'signerName');
  const isSettled =
    faults.length > 0 ||
    sameJson(request.object.status, old.status) ||
    mayActFor(authorize, request.user, 'sign', signerName, context);
  if (isSettled) {
    return faults;
  }
  const user = JSON.stringify(request.user.username);
  const detail = `User ${user} is not permitted to "sign" for signer ${JSON.stringify(signerName)}`;
  return [fieldError.forbidden('spec.signerName', detail)];
}

/** Bundles of a signer are written by those who may attest for it. */
function attestationFault(
  request: AdmissionRequest,
  authorize: Authorizer,
  context: RulesContext,
): ApiError | undefined {
  const { attributes, object, oldObject } = request;
  const signerName = stringAt(objectAt(object, 'spec'), 'signerName');
  if (object === undefined || groupResource(attributes) !== bundlesResource || signerName === '') {
    return undefined;
  }
  const changes = oldObject === undefined || !sameJson(withoutBookkeeping(object), withoutBookkeeping(oldObject));
  if (!changes || mayActFor(authorize, attributes.user, 'attest', signerName, context)) {
    return undefined;
  }
  return refuse(request, `user not permitted to attest for signerName ${JSON.stringify(signerName)}`);
}

/** CertificateSigningRequests are approved and signed by those who may do so for their signer. */
function signerActionFault(
  request: AdmissionRequest,
  authorize: Authorizer,
  context: RulesContext,
): ApiError | undefined {
  const { attributes, oldObject } = request;
  const verbs: Readonly<Record<string, 'approve' | 'sign'>> = { approval: 'approve', status: 'sign' };
  const verb = verbs[attributes.subresource];
  if (verb === undefined || groupResource(attributes).split('/')[0] !== signingRequestsResource) {
    return undefined;
  }
  const signerName = stringAt(objectAt(oldObject, 'spec'), 'signerName');
  if (mayActFor(authorize, attributes.user, verb, signerName, context)) {
    return undefined;
  }
  return refuse(request, `user not permitted to ${verb} requests with signerName ${JSON.stringify(signerName)}`);
}

/** A bundle without what the garbage collector and the server itself change. */
function withoutBookkeeping(object: ApiObject): ApiObject {
  const { resourceVersion, ownerReferences, finalizers, managedFields, ...metadata } = object.metadata;
  return { ...object, metadata };
}

/**
 * The cluster's rules as the API server asks for them: who may do what, and what an object must look like.
 *
 * https://kubernetes.io/docs/concepts/security/controlling-access/
 */
import { type ApiError, type FieldError, fieldError } from '../api-server/errors.ts';
import type { ApiObject } from '../api-server/objects.ts';
import type { AdmissionRequest, Rules, RulesContext, ValidationRequest } from '../api-server/rules.ts';
import { type Authorizer, anyOf, authorizeMasters, groupResource } from './access.ts';
import { refuse } from './admission.ts';
import { refusedByPolicy } from './admission-policy.ts';
import * as bundles from './cluster-trust-bundle.ts';
import { objectAt, sameJson, stringAt } from './fields.ts';
import { impersonate } from './impersonation.ts';
import { authorizeNode } from './node-authorizer.ts';
import { restrictNode } from './node-restriction.ts';
import * as others from './other-objects.ts';
import * as requests from './pod-certificate-request.ts';
import { authorizeByRoles, rulesFor } from './rbac.ts';
import { statusFaults } from './request-status.ts';
import { mayActFor } from './signers.ts';

const requestsResource = 'podcertificaterequests.certificates.k8s.io';
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
          : attestationFault(request, authorize, context);
      return refused ?? refusedByPolicy(request, context);
    },
    validateCreate: (request, context) => createFaults(request, context),
    validateUpdate: (request, old) => updateFaults(request, old),
    validateStatusUpdate: (request, old, context) =>
      request.resource === requestsResource
        ? signedStatusFaults(request, old, authorize, context)
        : others.updateFaults(request, old),
  };
}

function createFaults(request: ValidationRequest, context: RulesContext): FieldError[] {
  switch (request.resource) {
    case requestsResource:
      return requests.createFaults(request, context);
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
    case bundlesResource:
      return bundles.updateFaults(request, old);
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

/** A bundle without what the garbage collector and the server itself change. */
function withoutBookkeeping(object: ApiObject): ApiObject {
  const { resourceVersion, ownerReferences, finalizers, managedFields, ...metadata } = object.metadata;
  return { ...object, metadata };
}

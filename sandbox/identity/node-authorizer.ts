/**
 * What nodes may do: read themselves and what belongs to the pods bound to them. Names are compared with the objects
 * stored at the moment, where the real server keeps a graph of them.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/node/
 */

import type { ResourceAttributes, RulesContext } from '../base/cluster-rules.ts';
import { objectAt, stringAt } from '../base/fields.ts';
import type { ApiObject } from '../base/objects.ts';
import { type Authorizer, type Decision, groupResource, nodeOf } from './access.ts';
import { nodeRules } from './bootstrap-roles.ts';
import { automountsToken, isMirrorPod, mountsPodCertificate, nodeNameOf, tokenAudiences } from './pods.ts';
import { ruleAllows } from './rbac.ts';

const allowed: Decision = { allowed: true };

function denied(reason: string): Decision {
  return { allowed: false, reason };
}

export const authorizeNode: Authorizer = (attributes, context) => {
  const node = nodeOf(attributes.user);
  if (node === undefined) {
    return denied('');
  }
  if (node === '') {
    return denied(`unknown node for user ${JSON.stringify(attributes.user.username)}`);
  }
  if (attributes.kind === 'resource') {
    switch (groupResource(attributes)) {
      case 'nodes':
        return authorizeNodes(node, attributes);
      case 'pods':
        return authorizePods(node, attributes, context);
      case 'serviceaccounts':
        return authorizeServiceAccounts(node, attributes, context);
      case 'podcertificaterequests.certificates.k8s.io':
        return authorizeRequests(node, attributes, context);
      case 'csinodes.storage.k8s.io':
        return authorizeOwnObject(node, attributes, 'CSINode');
      default:
        break;
    }
  }
  return nodeRules.some((rule) => ruleAllows(rule, attributes)) ? allowed : denied('');
};

function authorizeNodes(node: string, { name, subresource, verb }: ResourceAttributes): Decision {
  const isWrite = verb === 'update' || verb === 'patch';
  if (isWrite && (subresource === '' || subresource === 'status')) {
    // Admission narrows this to the node's own object.
    return allowed;
  }
  if (subresource !== '') {
    return denied('');
  }
  switch (verb) {
    case 'create':
      return allowed;
    case 'get':
    case 'list':
    case 'watch':
      if (name === node) {
        return allowed;
      }
      return denied(
        name === ''
          ? `node '${node}' cannot read all nodes, only its own Node object`
          : `node '${node}' cannot read '${name}', only its own Node object`,
      );
    default:
      return denied('');
  }
}

function authorizePods(node: string, attributes: ResourceAttributes, context: RulesContext): Decision {
  const { name, subresource, verb } = attributes;
  switch (`${subresource}:${verb}`) {
    case ':get':
      return related(node, attributes, podIsOn(node, attributes, context));
    case ':list':
    case ':watch':
      if (selectsNode(attributes, node)) {
        return allowed;
      }
      return name === ''
        ? denied('can only list/watch pods with spec.nodeName field selector')
        : related(node, attributes, podIsOn(node, attributes, context));
    case ':create':
    case ':delete':
    case 'status:update':
    case 'status:patch':
      // Admission narrows these to mirror pods and to pods bound to the node.
      return allowed;
    default:
      return denied('');
  }
}

function podIsOn(node: string, { name, namespace }: ResourceAttributes, context: RulesContext): boolean {
  const pod = context.objects.get('pods', namespace, name);
  return pod !== undefined && nodeNameOf(pod) === node;
}

function authorizeServiceAccounts(node: string, attributes: ResourceAttributes, context: RulesContext): Decision {
  const { name, namespace, subresource, verb } = attributes;
  if (verb === 'get' && subresource === '') {
    return related(node, attributes, mayReadServiceAccount(node, namespace, name, context));
  }
  if (verb !== 'create' || name === '') {
    return denied('can only create tokens for individual service accounts');
  }
  if (subresource !== 'token') {
    return denied('can only create token subresource of serviceaccount');
  }
  return related(node, attributes, podsUsing(node, namespace, name, context).length > 0);
}

/** From 1.37 the pod must do something with its service account: mount a token of it, or a certificate. */
function mayReadServiceAccount(node: string, namespace: string, name: string, context: RulesContext): boolean {
  const pods = podsUsing(node, namespace, name, context);
  if (context.kubernetes !== '1.37') {
    return pods.length > 0;
  }
  const serviceAccount = context.objects.get('serviceaccounts', namespace, name);
  return pods.some(
    (pod) => automountsToken(pod, serviceAccount) || tokenAudiences(pod).length > 0 || mountsPodCertificate(pod),
  );
}

function podsUsing(node: string, namespace: string, serviceAccount: string, context: RulesContext): ApiObject[] {
  return context.objects
    .list('pods', namespace)
    .filter(
      (pod) =>
        nodeNameOf(pod) === node &&
        !isMirrorPod(pod) &&
        stringAt(objectAt(pod, 'spec'), 'serviceAccountName') === serviceAccount,
    );
}

function authorizeRequests(node: string, attributes: ResourceAttributes, context: RulesContext): Decision {
  const { name, namespace, subresource, verb } = attributes;
  if (subresource !== '') {
    return denied('nodes may not access the status subresource of PodCertificateRequests');
  }
  switch (verb) {
    case 'create':
      return allowed;
    case 'get': {
      const request = context.objects.get('podcertificaterequests.certificates.k8s.io', namespace, name);
      return related(node, attributes, request !== undefined && nodeNameOf(request) === node);
    }
    case 'list':
    case 'watch':
      return selectsNode(attributes, node)
        ? allowed
        : denied('can only list/watch podcertificaterequests with nodeName field selector');
    default:
      return denied(`nodes may not ${verb} podcertificaterequests`);
  }
}

function authorizeOwnObject(node: string, { name, subresource, verb }: ResourceAttributes, kind: string): Decision {
  if (!['get', 'create', 'update', 'patch', 'delete'].includes(verb)) {
    return denied(`can only get, create, update, patch, or delete a ${kind}`);
  }
  if (subresource !== '') {
    return denied(`cannot authorize ${kind} subresources`);
  }
  return verb === 'create' || name === node
    ? allowed
    : denied(`can only access ${kind} with the same name as the requesting node`);
}

function related(node: string, { name }: ResourceAttributes, isRelated: boolean): Decision {
  if (name === '') {
    return denied('No Object name found');
  }
  return isRelated ? allowed : denied(`no relationship found between node '${node}' and this object`);
}

/** True when one of the field selector's terms is `spec.nodeName=<node>`. */
function selectsNode({ fieldSelector = '' }: ResourceAttributes, node: string): boolean {
  return fieldSelector.split(',').some((term) => {
    const [field, value, ...more] = term.split(/==?/).map((part) => part.trim());
    return field === 'spec.nodeName' && value === node && more.length === 0;
  });
}

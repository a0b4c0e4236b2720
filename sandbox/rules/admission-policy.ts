/**
 * ValidatingAdmissionPolicies: expressions that a change must meet, wherever a binding puts them into force. Asked last,
 * when the object is known to be valid.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
 */
import { matchesLabels } from '../../agent/trust/label-selector.ts';
import type { LabelRequirement } from '../../volumes/declaration/types.ts';
import type { AdmissionRequest, ResourceAttributes, RulesContext } from '../base/cluster-rules.ts';
import { ApiError } from '../base/errors.ts';
import { isFieldSet, objectAt, objectsAt, stringAt, stringEntriesAt, stringsAt } from '../base/fields.ts';
import type { ApiObject, JsonObject } from '../base/objects.ts';
import { userJson } from '../base/user-json.ts';
import { refuse } from './admission.ts';
import { bindingsResource, policiesResource } from './admission-policy-faults.ts';
import { evaluate, inCel, type Variables } from './cel.ts';

/** HTTP codes of the reasons that a policy may give. */
const codes: Readonly<Record<string, number>> = {
  Unauthorized: 401,
  Forbidden: 403,
  Invalid: 422,
  RequestEntityTooLarge: 413,
};

interface Violation {
  readonly reason: string;
  readonly message: string;
}

/** The refusal of the first policy that a change violates. */
export function refusedByPolicy(request: AdmissionRequest, context: RulesContext): ApiError | undefined {
  // Nobody may lock himself out of mending a policy.
  if (request.attributes.apiGroup === 'admissionregistration.k8s.io') {
    return undefined;
  }
  for (const binding of context.objects.list(bindingsResource)) {
    const spec = objectAt(binding, 'spec');
    const policy = context.objects.get(policiesResource, '', stringAt(spec, 'policyName'));
    if (policy === undefined || !stringsAt(spec, 'validationActions').includes('Deny')) {
      continue;
    }
    const violation = violationOf(policy, objectAt(spec, 'matchResources'), request, context);
    if (violation !== undefined) {
      return refusal(request, policy, binding, violation);
    }
  }
  return undefined;
}

/** It reads as a refusal and carries the code of its reason. */
function refusal(
  request: AdmissionRequest,
  policy: ApiObject,
  binding: ApiObject,
  { reason, message }: Violation,
): ApiError {
  const names = `ValidatingAdmissionPolicy '${policy.metadata.name}' with binding '${binding.metadata.name}'`;
  const why = `${names} denied request: ${message}`;
  const error = refuse(request, why);
  return new ApiError(codes[reason] ?? 422, reason, error.message, { ...error.details, causes: [{ message: why }] });
}

function violationOf(
  policy: ApiObject,
  bound: JsonObject,
  request: AdmissionRequest,
  context: RulesContext,
): Violation | undefined {
  const spec = objectAt(policy, 'spec');
  const isMatched = matches(objectAt(spec, 'matchConstraints'), request, context) && matches(bound, request, context);
  if (!isMatched) {
    return undefined;
  }
  const failsOpen = stringAt(spec, 'failurePolicy') === 'Ignore';
  const given = variablesOf(request, context);
  for (const condition of objectsAt(spec, 'matchConditions')) {
    const result = evaluate(stringAt(condition, 'expression'), given);
    if (result.type === 'error') {
      const message = `match condition '${stringAt(condition, 'name')}' resulted in error: ${result.message}`;
      return failsOpen ? undefined : { reason: 'Invalid', message };
    }
    if (result.value !== true) {
      return undefined;
    }
  }
  const all = withOwnVariables(spec, given);
  for (const validation of objectsAt(spec, 'validations')) {
    const expression = stringAt(validation, 'expression').trim();
    const result = evaluate(expression, all);
    const isError = result.type === 'error';
    if (isError ? !failsOpen : result.value !== true) {
      const message = isError
        ? `expression '${expression}' resulted in error: ${result.message}`
        : messageOf(validation, expression, all);
      return { reason: stringAt(validation, 'reason') || 'Invalid', message };
    }
  }
  return undefined;
}

function messageOf(validation: JsonObject, expression: string, variables: Variables): string {
  const result = evaluate(stringAt(validation, 'messageExpression') || '""', variables);
  const spoken = result.type === 'value' && typeof result.value === 'string' ? result.value.trim() : '';
  return spoken || stringAt(validation, 'message').trim() || `failed expression: ${expression}`;
}

/** A variable may use those before it. One that cannot be evaluated is missing to whoever uses it. */
function withOwnVariables(spec: JsonObject, given: Variables): Variables {
  const own: Record<string, unknown> = {};
  const all = { ...given, variables: own };
  for (const variable of objectsAt(spec, 'variables')) {
    const result = evaluate(stringAt(variable, 'expression'), all);
    if (result.type === 'value') {
      own[stringAt(variable, 'name')] = result.value;
    }
  }
  return all;
}

function variablesOf({ attributes, object, oldObject, operation }: AdmissionRequest, context: RulesContext): Variables {
  const { apiGroup: group, apiVersion: version, namespace, resource, subresource: subResource, user } = attributes;
  const typed = (one: ApiObject | undefined): JsonObject | undefined =>
    one === undefined ? undefined : { apiVersion: group === '' ? version : `${group}/${version}`, ...one };
  const { groups, extra = {}, ...rest } = userJson(user);
  return {
    object: inCel(typed(object)),
    oldObject: inCel(typed(oldObject)),
    namespaceObject: inCel(namespace === '' ? undefined : context.objects.get('namespaces', '', namespace)),
    request: inCel({
      resource: { group, version, resource },
      subResource,
      name: attributes.name,
      namespace,
      operation: operation.toUpperCase(),
      userInfo: { ...rest, groups: groups ?? [], extra },
    }),
    variables: {},
  };
}

/** Whether a change is among those that a policy, or a binding, names. A binding that names none takes all of the policy's. */
function matches(match: JsonObject, request: AdmissionRequest, context: RulesContext): boolean {
  const { attributes, object, oldObject } = request;
  const rules = objectsAt(match, 'resourceRules');
  const isExact = stringAt(match, 'matchPolicy') === 'Exact';
  const namespace = context.objects.get('namespaces', '', attributes.namespace);
  return (
    (rules.length === 0 || rules.some((rule) => ruleMatches(rule, isExact, request))) &&
    !objectsAt(match, 'excludeResourceRules').some((rule) => ruleMatches(rule, isExact, request)) &&
    (attributes.namespace === '' || selects(match, 'namespaceSelector', namespace)) &&
    (selects(match, 'objectSelector', object) || selects(match, 'objectSelector', oldObject))
  );
}

/** Unless versions are to be taken exactly, a rule for one holds for all: a change is the same in each. */
function ruleMatches(rule: JsonObject, isExact: boolean, { attributes, operation }: AdmissionRequest): boolean {
  const covers = (field: string, wanted: string): boolean =>
    stringsAt(rule, field).some((each) => each === '*' || each === wanted);
  const names = stringsAt(rule, 'resourceNames');
  return (
    covers('apiGroups', attributes.apiGroup) &&
    (!isExact || covers('apiVersions', attributes.apiVersion)) &&
    covers('operations', operation.toUpperCase()) &&
    stringsAt(rule, 'resources').some((each) => coversResource(each, attributes)) &&
    (names.length === 0 || names.includes(attributes.name))
  );
}

/** A resource, or one with a subresource; either may be a star. A resource alone is not its subresources. */
function coversResource(pattern: string, { resource, subresource }: ResourceAttributes): boolean {
  const [wanted, wantedSubresource = ''] = pattern.split('/', 2);
  return (wanted === '*' || wanted === resource) && (wantedSubresource === '*' || wantedSubresource === subresource);
}

function selects(match: JsonObject, field: string, object: ApiObject | undefined): boolean {
  if (!Object.hasOwn(match, field)) {
    return true;
  }
  const selector = objectAt(match, field);
  return matchesLabels(
    {
      matchLabels: Object.fromEntries(stringEntriesAt(selector, 'matchLabels')),
      matchExpressions: objectsAt(selector, 'matchExpressions')
        .filter((each) => isFieldSet(each, 'key'))
        .map(requirement),
    },
    Object.fromEntries(stringEntriesAt(object?.metadata, 'labels')),
  );
}

function requirement(expression: JsonObject): LabelRequirement {
  const operators = ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const;
  const operator = operators.find((each) => each === stringAt(expression, 'operator')) ?? 'Exists';
  return { key: stringAt(expression, 'key'), operator, values: stringsAt(expression, 'values') };
}

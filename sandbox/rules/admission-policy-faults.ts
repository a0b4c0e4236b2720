/**
 * What a ValidatingAdmissionPolicy and its binding must look like. Expressions are compiled when a policy is stored, so
 * that a faulty one fails for its author and not for whoever makes a request later.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
 */
import { type FieldError, fieldError } from '../base/errors.ts';
import { isFieldSet, objectAt, objectsAt, stringAt, stringsAt } from '../base/fields.ts';
import { dnsSubdomain } from '../base/names.ts';
import type { JsonObject } from '../base/objects.ts';
import { compilationFault } from './cel.ts';

const group = 'admissionregistration.k8s.io';
export const policiesResource = `validatingadmissionpolicies.${group}`;
export const bindingsResource = `validatingadmissionpolicybindings.${group}`;

/** All faults of a policy's spec. */
export function policyFaults(spec: JsonObject): FieldError[] {
  const rules = objectsAt(objectAt(spec, 'matchConstraints'), 'resourceRules');
  const validations = objectsAt(spec, 'validations');
  return [
    ...(rules.length > 0 ? [] : [fieldError.required('spec.matchConstraints.resourceRules', '')]),
    ...(validations.length > 0
      ? []
      : [fieldError.required('spec.validations', 'validations or auditAnnotations must be provided')]),
    ...(spec['paramKind'] === undefined
      ? []
      : [fieldError.forbidden('spec.paramKind', 'the sandbox knows no parameters of policies')]),
    ...['matchConditions', 'variables'].flatMap((field) =>
      objectsAt(spec, field).flatMap((each, index) => [
        ...(isFieldSet(each, 'name') ? [] : [fieldError.required(`spec.${field}[${index}].name`, '')]),
        ...expressionFaults(each, 'expression', `spec.${field}[${index}]`),
      ]),
    ),
    ...validations.flatMap((validation, index) => [
      ...expressionFaults(validation, 'expression', `spec.validations[${index}]`),
      ...(isFieldSet(validation, 'messageExpression')
        ? expressionFaults(validation, 'messageExpression', `spec.validations[${index}]`)
        : []),
    ]),
  ];
}

function expressionFaults(parent: JsonObject, part: string, field: string): FieldError[] {
  const expression = stringAt(parent, part);
  if (expression.trim() === '') {
    return [fieldError.required(`${field}.${part}`, `${part} is not specified`)];
  }
  const fault = compilationFault(expression);
  return fault === undefined
    ? []
    : [fieldError.invalid(`${field}.${part}`, expression, `compilation failed: ${fault}`)];
}

const actions = ['Audit', 'Deny', 'Warn'];

/** All faults of a binding's spec. */
export function policyBindingFaults(spec: JsonObject): FieldError[] {
  const policyName = stringAt(spec, 'policyName');
  const wanted = stringsAt(spec, 'validationActions');
  const nameFaults = dnsSubdomain(policyName).map((fault) => fieldError.invalid('spec.policyName', policyName, fault));
  return [
    ...(policyName === '' ? [fieldError.required('spec.policyName', '')] : nameFaults),
    ...(wanted.length > 0 ? [] : [fieldError.required('spec.validationActions', '')]),
    ...wanted.flatMap((action, index) =>
      actions.includes(action) ? [] : [fieldError.notSupported(`spec.validationActions[${index}]`, action, actions)],
    ),
  ];
}

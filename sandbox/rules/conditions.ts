/**
 * Conditions of a PodCertificateRequest: at most one, of a known type, and true.
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/condition/
 */
import { type FieldError, fieldError } from '../base/errors.ts';
import { byteLength, isFieldSet, numberAt, objectAt, objectsAt, stringAt } from '../base/fields.ts';
import { conditionReason, labelKey } from '../base/names.ts';
import type { ApiObject, JsonObject } from '../base/objects.ts';
import { invalids } from './metadata.ts';

/** The conditions that end a request's life. */
export const conditionTypes = ['Issued', 'Denied', 'Failed'] as const;
export type ConditionType = (typeof conditionTypes)[number];

const reasonMaxBytes = 1024;
const messageMaxBytes = 32 * 1024;

/** True when the request has reached this end. */
export function isTerminal(request: ApiObject, type: ConditionType): boolean {
  return objectsAt(objectAt(request, 'status'), 'conditions').some(
    (condition) => condition['type'] === type && condition['status'] === 'True',
  );
}

/** All faults of a status' conditions: first those of this API, then those of any condition. */
export function conditionFaults(status: JsonObject): FieldError[] {
  const conditions = objectsAt(status, 'conditions');
  return [...requestConditionFaults(conditions), ...conditions.flatMap((_, index) => commonFaults(conditions, index))];
}

/** The real server writes these paths with a dot before the index. */
function requestConditionFaults(conditions: readonly JsonObject[]): FieldError[] {
  const faults: FieldError[] = [];
  let known = 0;
  for (const [index, condition] of conditions.entries()) {
    const field = `status.conditions.[${index}]`;
    const type = stringAt(condition, 'type');
    if (!conditionTypes.some((name) => name === type)) {
      faults.push(fieldError.notSupported(`${field}.type`, type, conditionTypes));
      continue;
    }
    known += 1;
    if (known > 1) {
      const rule = 'There may be at most one condition with type "Issued", "Denied", or "Failed"';
      faults.push(fieldError.invalid(`${field}.type`, type, rule));
    }
    if (stringAt(condition, 'status') !== 'True') {
      faults.push(fieldError.notSupported(`${field}.status`, stringAt(condition, 'status'), ['True']));
    }
  }
  return faults;
}

function commonFaults(conditions: readonly JsonObject[], index: number): FieldError[] {
  const condition = conditions[index];
  const field = `status.conditions[${index}]`;
  const type = stringAt(condition, 'type');
  const status = stringAt(condition, 'status');
  const reason = stringAt(condition, 'reason');
  const faults: FieldError[] = [];
  if (conditions.findIndex((other) => stringAt(other, 'type') === type) < index) {
    faults.push(fieldError.duplicate(`${field}.type`, type));
  }
  faults.push(...invalids(`${field}.type`, type, labelKey(type)));
  if (!['True', 'False', 'Unknown'].includes(status)) {
    faults.push(fieldError.notSupported(`${field}.status`, status, ['False', 'True', 'Unknown']));
  }
  const generation = numberAt(condition, 'observedGeneration') ?? 0;
  if (generation < 0) {
    faults.push(fieldError.invalid(`${field}.observedGeneration`, generation, 'must be greater than or equal to zero'));
  }
  if (!isFieldSet(condition, 'lastTransitionTime')) {
    faults.push(fieldError.required(`${field}.lastTransitionTime`, ''));
  }
  if (reason === '') {
    faults.push(fieldError.required(`${field}.reason`, ''));
  } else {
    faults.push(...invalids(`${field}.reason`, reason, conditionReason(reason)));
    faults.push(
      ...(byteLength(reason) > reasonMaxBytes ? [fieldError.tooLong(`${field}.reason`, reasonMaxBytes)] : []),
    );
  }
  if (byteLength(stringAt(condition, 'message')) > messageMaxBytes) {
    faults.push(fieldError.tooLong(`${field}.message`, messageMaxBytes));
  }
  return faults;
}

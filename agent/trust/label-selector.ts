/**
 * Kubernetes label selectors: does an object with these labels match?
 *
 * https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
 */
import type { LabelRequirement, LabelSelector } from '../../volumes/declaration/types.ts';
import { unreachable } from '../base/unreachable.ts';

/**
 * @param selector absent: matches nothing; without requirements: matches everything; else all of them must hold.
 * @param labels an object's labels; absent is the same as none.
 */
export function matchesLabels(
  selector: LabelSelector | undefined,
  labels: Readonly<Record<string, string>> | undefined = {},
): boolean {
  if (selector === undefined) {
    return false;
  }
  const values = new Map(Object.entries(labels));
  return (
    Object.entries(selector.matchLabels).every(([key, value]) => values.get(key) === value) &&
    selector.matchExpressions.every((requirement) => holds(requirement, values.get(requirement.key)))
  );
}

/** NotIn holds for an object without the label too. */
function holds({ operator, values }: LabelRequirement, value: string | undefined): boolean {
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    default:
      return unreachable(operator);
  }
}

/**
 * Label and field selectors in their query forms: `app=web,tier in (a,b),!old` and `spec.nodeName=node-a`.
 *
 * https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#api
 * https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/
 */
import { type ApiError, badRequest } from '../base/errors.ts';

export interface LabelRequirement {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist' | 'Gt' | 'Lt';
  readonly values: readonly string[];
}

export interface FieldRequirement {
  readonly field: string;
  readonly operator: '=' | '!=';
  readonly value: string;
}

/** Splits at commas that are outside parentheses. */
function parts(text: string): string[] {
  const found: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    depth += char === '(' ? 1 : char === ')' ? -1 : 0;
    if (char === ',' && depth === 0) {
      found.push(text.slice(start, at));
      start = at + 1;
    }
  }
  found.push(text.slice(start));
  return found.map((part) => part.trim()).filter((part) => part !== '');
}

const labelKey = /^(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const labelValue = /^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;

/** @throws ApiError 400 for a selector that cannot be read */
export function parseLabelSelector(text: string): readonly LabelRequirement[] {
  return parts(text).map((part) => {
    const requirement = parseLabelRequirement(part);
    if (!labelKey.test(requirement.key) || !requirement.values.every((value) => labelValue.test(value))) {
      throw unreadable(text, part);
    }
    return requirement;
  });
}

function unreadable(text: string, part: string): ApiError {
  return badRequest(`unable to parse requirement: ${JSON.stringify(part)} in selector ${JSON.stringify(text)}`);
}

function parseLabelRequirement(part: string): LabelRequirement {
  const set = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(part);
  if (set !== null) {
    const [, key = '', operator, values = ''] = set;
    return {
      key,
      operator: operator === 'in' ? 'In' : 'NotIn',
      values: values.split(',').map((value) => value.trim()),
    };
  }
  const compared = /^([^=!<>\s]+)\s*(==|=|!=|>|<)\s*(\S*)$/.exec(part);
  if (compared !== null) {
    const [, key = '', sign, value = ''] = compared;
    const operator = sign === '!=' ? 'NotIn' : sign === '>' ? 'Gt' : sign === '<' ? 'Lt' : 'In';
    return { key, operator, values: [value] };
  }
  return part.startsWith('!')
    ? { key: part.slice(1).trim(), operator: 'DoesNotExist', values: [] }
    : { key: part, operator: 'Exists', values: [] };
}

export function matchesLabels(
  requirements: readonly LabelRequirement[],
  labels: Readonly<Record<string, string>> = {},
): boolean {
  return requirements.every(({ key, operator, values }) => {
    const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
    switch (operator) {
      case 'In':
        return value !== undefined && values.includes(value);
      case 'NotIn':
        return value === undefined || !values.includes(value);
      case 'Exists':
        return value !== undefined;
      case 'DoesNotExist':
        return value === undefined;
      case 'Gt':
        return value !== undefined && Number(value) > Number(values[0]);
      case 'Lt':
        return value !== undefined && Number(value) < Number(values[0]);
      default:
        return operator satisfies never;
    }
  });
}

/** @throws ApiError 400 for a selector that cannot be read */
export function parseFieldSelector(text: string): readonly FieldRequirement[] {
  // A comma, an equals sign or a backslash within a value is escaped with a backslash.
  const terms = text.match(/(?:\\.|[^,\\])+/g) ?? [];
  return terms.map((term) => {
    const compared = /^([^=!]+?)(==|=|!=)((?:\\.|[^\\])*)$/.exec(term.trim());
    if (compared === null) {
      throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`);
    }
    const [, field = '', sign, value = ''] = compared;
    return { field, operator: sign === '!=' ? '!=' : '=', value: value.replaceAll(/\\([\\,=])/g, '$1') };
  });
}

/** @param fields the selectable fields' values; a requirement on any other field never holds */
export function matchesFields(
  requirements: readonly FieldRequirement[],
  fields: Readonly<Record<string, string>>,
): boolean {
  return requirements.every(({ field, operator, value }) =>
    operator === '=' ? (fields[field] ?? '') === value : (fields[field] ?? '') !== value,
  );
}

/** The name that `metadata.name=<name>` asks for, as the authorizer sees it. */
export function requiredName(requirements: readonly FieldRequirement[]): string | undefined {
  return requirements.find(({ field, operator }) => field === 'metadata.name' && operator === '=')?.value;
}

/**
 * What names look like: DNS labels and subdomains (RFC 1123), label keys and values, signer names, reasons of conditions.
 * Each check returns its complaints in the real server's words; none means that the name is good.
 *
 * https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
 */
import { type FieldError, fieldError } from './errors.ts';
import { byteLength } from './fields.ts';

/** A check of one name. */
export type NameCheck = (name: string) => readonly string[];

const subdomainMaxBytes = 253;
const labelMaxBytes = 63;

const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const subdomain = `${label}(\\.${label})*`;
const keyName = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const labelValue = `(${keyName})?`;
const reason = '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?';

const labelPattern = whole(label);
const subdomainPattern = whole(subdomain);
const keyNamePattern = whole(keyName);
const labelValuePattern = whole(labelValue);
const reasonPattern = whole(reason);

const keyNameRule =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";

function whole(pattern: string): RegExp {
  return new RegExp(`^(?:${pattern})$`);
}

function tooLong(limit: number): string {
  return `must be no more than ${limit} bytes`;
}

/** A rule with examples and its pattern. The real server's examples are joined with a comma, two spaces and "or". */
function mismatch(rule: string, pattern: string, ...examples: string[]): string {
  const list = examples.map((example) => `'${example}', `).join(' or ');
  return `${rule} (e.g. ${list}regex used for validation is '${pattern}')`;
}

/** A DNS subdomain: the name of most objects. */
export function dnsSubdomain(name: string): string[] {
  const faults = byteLength(name) > subdomainMaxBytes ? [tooLong(subdomainMaxBytes)] : [];
  if (!subdomainPattern.test(name)) {
    const rule =
      "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
    faults.push(mismatch(rule, subdomain, 'example.com'));
  }
  return faults;
}

/** A DNS label: the name of a namespace, a container or a volume. */
export function dnsLabel(name: string): string[] {
  const faults = byteLength(name) > labelMaxBytes ? [tooLong(labelMaxBytes)] : [];
  if (labelPattern.test(name)) {
    return faults;
  }
  const rule =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
  faults.push(subdomainPattern.test(name) ? 'must not contain dots' : mismatch(rule, label, 'my-name', '123-abc'));
  return faults;
}

/** What every name must be to have a place in a path: the only rule for roles and bindings. */
export function pathSegment(name: string): string[] {
  if (name === '.' || name === '..') {
    return [`may not be '${name}'`];
  }
  return ['/', '%']
    .filter((character) => name.includes(character))
    .map((character) => `may not contain '${character}'`);
}

/** A label key: an optional DNS subdomain and a slash, then a name. Annotation keys are checked in lower case. */
export function labelKey(key: string): string[] {
  const parts = key.split('/');
  const [first = '', second] = parts;
  if (parts.length > 2) {
    const rule = mismatch(keyNameRule, keyName, 'MyName', 'my.name', '123-abc');
    return [`a valid label key ${rule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`];
  }
  const faults: string[] = [];
  if (second !== undefined) {
    const prefixFaults = first === '' ? ['must be non-empty'] : dnsSubdomain(first);
    faults.push(...prefixFaults.map((fault) => `prefix part ${fault}`));
  }
  const name = second ?? first;
  if (name === '') {
    faults.push('name part must be non-empty');
  } else if (byteLength(name) > labelMaxBytes) {
    faults.push(`name part ${tooLong(labelMaxBytes)}`);
  }
  if (!keyNamePattern.test(name)) {
    faults.push(`name part ${mismatch(keyNameRule, keyName, 'MyName', 'my.name', '123-abc')}`);
  }
  return faults;
}

/** The value of a label. */
export function labelValueFaults(value: string): string[] {
  const faults = byteLength(value) > labelMaxBytes ? [tooLong(labelMaxBytes)] : [];
  if (!labelValuePattern.test(value)) {
    const rule = `a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character`;
    faults.push(mismatch(rule, labelValue, 'MyValue', 'my_value', '12345'));
  }
  return faults;
}

/** The reason of a condition (metav1.Condition). */
export function conditionReason(value: string): string[] {
  if (reasonPattern.test(value)) {
    return [];
  }
  const rule =
    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_'";
  return [mismatch(rule, reason, 'my_name', 'MY_NAME', 'MyName', 'ReasonA,ReasonB', 'ReasonA:ReasonB')];
}

/**
 * A name that characters will be added to may end in a dash: the dash and what stands before it count as a letter, as
 * in the real server.
 */
export function asPrefix(check: NameCheck): NameCheck {
  return (name) => check(name.length > 1 && name.endsWith('-') ? `${name.slice(0, -2)}a` : name);
}

/** A signer name: `domain/path`, as for CertificateSigningRequests. */
export function signerNameFaults(field: string, signerName: string): FieldError[] {
  if (signerName === '') {
    return [fieldError.required(field, '')];
  }
  const segments = signerName.split('/');
  const [domain, path] = segments;
  if (domain === undefined || path === undefined || segments.length !== 2) {
    const rule = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
    return [fieldError.invalid(field, signerName, rule)];
  }
  const faults: FieldError[] = [];
  if (byteLength(domain) > subdomainMaxBytes) {
    faults.push(fieldError.tooLong(field, subdomainMaxBytes));
  }
  faults.push(...firstBadLabel(field, domain, dnsLabel));
  if (!domain.includes('.')) {
    const rule = 'should be a domain with at least two segments separated by dots';
    faults.push(fieldError.invalid(field, domain, rule));
  }
  faults.push(...firstBadLabel(field, path, dnsSubdomain));
  const maxBytes = subdomainMaxBytes + 1 + labelMaxBytes + 1 + subdomainMaxBytes;
  if (byteLength(signerName) > maxBytes) {
    faults.push(fieldError.tooLong(field, maxBytes));
  }
  return faults;
}

function firstBadLabel(field: string, segment: string, check: NameCheck): FieldError[] {
  for (const part of segment.split('.')) {
    const faults = check(part);
    if (faults.length > 0) {
      return faults.map((fault) =>
        fieldError.invalid(field, segment, `validating label ${JSON.stringify(part)}: ${fault}`),
      );
    }
  }
  return [];
}

/** True for signers of the Kubernetes project: `kubernetes.io/…` and `….kubernetes.io/…`. */
export function isKubernetesSigner(signerName: string): boolean {
  const [domain = ''] = signerName.split('/');
  return domain === 'kubernetes.io' || domain.endsWith('.kubernetes.io');
}

/**
 * The types of admissionregistration.k8s.io: policies, and what binds them to what they are asked about.
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/validating-admission-policy-v1/
 */
import { any, kindOf } from './schema.ts';

const admission = 'io.k8s.api.admissionregistration.v1';

export const validatingAdmissionPolicy = kindOf(
  `${admission}.ValidatingAdmissionPolicy`,
  'Expressions that hold for every change that is let in.',
  { spec: any('What is matched, and the expressions.'), status: any('What a check of the types found.') },
  [],
  { spec: {}, status: {} },
);

export const validatingAdmissionPolicyBinding = kindOf(
  `${admission}.ValidatingAdmissionPolicyBinding`,
  'Puts a policy into force.',
  { spec: any('The policy, where it holds, and what a violation leads to.') },
  [],
  { spec: {} },
);

/** The variables that a template may hold: `${namespace}` stands for the pod's namespace, and so on. */
export const templateVariables = [
  'trustDomain',
  'namespace',
  'podName',
  'podUID',
  'serviceAccountName',
  'serviceAccountUID',
  'nodeName',
] as const;
export type TemplateVariable = (typeof templateVariables)[number];

/** The variables in a text that are none; for the check of the configuration. */
export function unknownVariables(text: string): readonly string[] {
  const known: readonly string[] = templateVariables;
  return [...text.matchAll(/\$\{([^}]*)\}/g)].flatMap(([, name = '']) => (known.includes(name) ? [] : [name]));
}

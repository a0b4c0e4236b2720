/**
 * Reads the YAML text of a pod's author: one document, no aliases, no duplicate keys, no tags with a meaning of their
 * own, in time that grows with the text and no faster.
 *
 * https://yaml.org/spec/1.2.2/
 */
import { isScalar, parseDocument, visit } from 'yaml';

const maxBytes = 64 * 1024;
/** Deeper than any declaration needs, and far from the depth at which reading recursively runs out of stack. */
const maxDepth = 32;

/** @returns the value, with mappings as `Map`, or what is wrong with the text. */
export function readYaml(
  text: string,
): { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly message: string } {
  if (Buffer.byteLength(text) > maxBytes) return { ok: false, message: `must be at most ${maxBytes} bytes of YAML` };
  try {
    // The library compares every key of a mapping with every other: seconds for a hostile text. See findDuplicate.
    const document = parseDocument(text, { uniqueKeys: false, prettyErrors: true, strict: true });
    const problem = document.errors[0] ?? document.warnings[0];
    const message =
      problem?.code === 'MULTIPLE_DOCS'
        ? 'must be one YAML document, remove the "---"'
        : problem === undefined
          ? findForbidden(document)
          : `is not valid YAML: ${firstLine(problem.message)}`;
    if (message !== undefined) return { ok: false, message };
    return { ok: true, value: document.toJS({ mapAsMap: true, maxAliasCount: 0 }) };
  } catch (error) {
    // Nesting as deep as the text is long ends in a stack overflow inside the library.
    return { ok: false, message: `cannot be read as YAML: ${firstLine(String(error))}` };
  }
}

function findForbidden(document: ReturnType<typeof parseDocument>): string | undefined {
  let message: string | undefined;
  const stop = (text: string) => {
    message = text;
    return visit.BREAK;
  };
  visit(document, {
    Alias: () => stop('must not use YAML aliases ("*name"), write the value out'),
    Collection: (_key, _node, ancestors) =>
      ancestors.length > maxDepth ? stop(`must not be nested deeper than ${maxDepth} levels`) : undefined,
    Map: (_key, node, ancestors) => {
      if (ancestors.length > maxDepth) return stop(`must not be nested deeper than ${maxDepth} levels`);
      const seen = new Set<unknown>();
      for (const { key } of node.items) {
        const name = isScalar(key) ? key.value : key;
        if (seen.has(name))
          return stop(`has the key ${JSON.stringify(String(name).slice(0, 64))} twice in one mapping`);
        seen.add(name);
      }
      return undefined;
    },
  });
  return message;
}

function firstLine(text: string): string {
  return (text.split('\n', 1)[0] ?? '').replace(/:$/, '').slice(0, 200);
}

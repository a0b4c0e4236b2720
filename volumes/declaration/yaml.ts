/**
 * Reads the YAML text of a pod's author: one document of plain lists, mappings and scalars. What a declaration never needs
 * (directives, anchors, aliases, tags, explicit keys) has no meaning here and is refused.
 *
 * The text is looked at token by token before the parser sees it. That costs little, ends at the first thing that is refused,
 * and leaves the parser nothing whose cost grows faster than a limit allows: broken flow collections alone would make it
 * collect tens of thousands of errors.
 *
 * https://yaml.org/spec/1.2.2/
 */
import { Composer, CST, type Document, isCollection, isScalar, Lexer, Parser, visit } from 'yaml';
import type { Steps } from '../base/steps.ts';
import { maxSourcesBytes, maxYamlBackslashes, maxYamlDepth, maxYamlTokens } from './limits.ts';

export type Reading = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly message: string };

/** Tokens that are dealt with in one step: a fraction of a millisecond. */
const tokensPerStep = 256;

/**
 * Reads a text in steps, since the greatest that is let in takes some fifty milliseconds.
 * @returns the value, with mappings as `Map`, or what is wrong with the text
 */
export function* readYamlInSteps(text: string): Steps<Reading> {
  if (Buffer.byteLength(text) > maxSourcesBytes) {
    return { ok: false, message: `must be at most ${maxSourcesBytes} bytes of YAML` };
  }
  try {
    const lexemes: string[] = [];
    const refusal = yield* refusedToken(text, lexemes);
    if (refusal !== undefined) {
      return { ok: false, message: refusal };
    }
    const tokens = yield* parseTokens(lexemes);
    return yield* readTokens(text, tokens);
  } catch (error) {
    return {
      ok: false,
      message: `cannot be read as YAML: ${told(error instanceof Error ? error.message : String(error), text)}`,
    };
  }
}

/** The library's own parser, handed the tokens that were looked at already. */
function* parseTokens(lexemes: readonly string[]): Steps<readonly CST.Token[]> {
  const parser = new Parser();
  const tokens: CST.Token[] = [];
  for (const [index, lexeme] of lexemes.entries()) {
    tokens.push(...parser.next(lexeme));
    if (index % tokensPerStep === 0) {
      yield;
    }
  }
  tokens.push(...parser.end());
  return tokens;
}

function* readTokens(text: string, tokens: readonly CST.Token[]): Steps<Reading> {
  yield;
  // The library compares every key of a mapping with every other: see findDuplicate.
  const composer = new Composer({ uniqueKeys: false, strict: true });
  const [document, another] = composer.compose(tokens, true, text.length);
  yield;
  const problem = document?.errors[0] ?? document?.warnings[0];
  const message =
    another !== undefined
      ? oneDocument
      : problem === undefined
        ? document && findDuplicate(document)
        : `is not valid YAML: ${told(problem.message, text)}${lineOf(text, problem.pos[0])}`;
  if (message !== undefined) {
    return { ok: false, message };
  }
  yield;
  return { ok: true, value: document?.toJS({ mapAsMap: true, maxAliasCount: 0 }) };
}

const oneDocument = 'must be one YAML document, remove the "---"';
const tooDeep = `must not be nested deeper than ${maxYamlDepth} levels`;

/** What is refused whatever it stands for, by the type of its token. */
const refusedTokens: Readonly<Record<string, string>> = {
  alias: 'must not use YAML aliases ("*name"), write the value out',
  anchor: 'must not use YAML anchors ("&name"), write the value out',
  tag: 'must not use YAML tags ("!name")',
  'directive-line': 'must not use YAML directives ("%YAML")',
  'explicit-key-ind': 'must not use explicit YAML keys ("? key")',
};
const openers = new Set(['flow-seq-start', 'flow-map-start']);
const closers = new Set(['flow-seq-end', 'flow-map-end']);
const blanks = new Set(['space', 'newline', 'comment']);
/** Two of the same in a row, with nothing between them, are an error, or a level each. */
const separators = new Set(['comma', 'map-value-ind']);

/**
 * The first token that is refused, or limit that is passed, as a message.
 * @param lexemes takes all tokens
 */
function* refusedToken(text: string, lexemes: string[]): Steps<string | undefined> {
  if (text.split('\\', maxYamlBackslashes + 2).length > maxYamlBackslashes + 1) {
    return `must hold at most ${maxYamlBackslashes} backslashes`;
  }
  const judge = createJudge();
  let tokens = 0;
  let isContent = false;
  for (const lexeme of new Lexer().lex(text)) {
    lexemes.push(lexeme);
    tokens += 1;
    if (tokens % tokensPerStep === 0) {
      yield;
    }
    if (tokens > maxYamlTokens) {
      return `must hold at most ${maxYamlTokens} YAML tokens`;
    }
    const type: string = isContent ? 'content' : (CST.tokenType(lexeme) ?? 'unknown');
    // The lexer announces a plain scalar by a token of its own, and then gives its text.
    isContent = type === 'scalar';
    const refusal = isContent || blanks.has(type) ? undefined : judge(type, lexeme);
    if (refusal !== undefined) {
      return refusal;
    }
  }
  return undefined;
}

/** Judges token after token, white space and comments left out. */
function createJudge(): (type: string, lexeme: string) => string | undefined {
  let depth = 0;
  let dashes = 0;
  let previous = '';
  return (type, lexeme) => {
    if (openers.has(type)) {
      depth += 1;
    }
    if (closers.has(type)) {
      depth -= 1;
    }
    dashes = type === 'seq-item-ind' ? dashes + 1 : 0;
    const isRepeated = separators.has(type) && type === previous;
    previous = type;
    if (depth > maxYamlDepth || dashes > maxYamlDepth) {
      return tooDeep;
    }
    return isRepeated ? `is not valid YAML: ${JSON.stringify(lexeme)} twice in a row` : refusedTokens[type];
  };
}

/** A key that one mapping has twice, or a level too many. */
function findDuplicate(document: Document.Parsed): string | undefined {
  let message: string | undefined;
  const stop = (text: string) => {
    message = text;
    return visit.BREAK;
  };
  visit(document, {
    Collection: (_key, _node, ancestors) => (isTooDeep(ancestors) ? stop(tooDeep) : undefined),
    Map: (_key, node, ancestors) => {
      if (isTooDeep(ancestors)) {
        return stop(tooDeep);
      }
      const seen = new Set<unknown>();
      for (const { key } of node.items) {
        const name = isScalar(key) ? key.value : key;
        if (seen.has(name)) {
          return stop(`has the key ${JSON.stringify(String(name).slice(0, 64))} twice in one mapping`);
        }
        seen.add(name);
      }
      return undefined;
    },
  });
  return message;
}

/** True below the greatest depth. The document, and the pairs of mappings, are ancestors too, and no levels. */
function isTooDeep(ancestors: readonly unknown[]): boolean {
  return ancestors.filter(isCollection).length >= maxYamlDepth;
}

/** Where a fault lies, for people. */
function lineOf(text: string, position: number): string {
  return ` at line ${text.slice(0, position).split('\n').length}`;
}

/** What the library says, which may end with a piece of the text, after a colon: of a text with a password in it that stays out. */
function told(message: string, text: string): string {
  const line = firstLine(message);
  return text.includes('password') ? (line.split(':', 1)[0] ?? '') : line;
}

function firstLine(text: string): string {
  return (text.split('\n', 1)[0] ?? '').replace(/:$/, '').slice(0, 200);
}

/**
 * HTML from template literals, safe by construction: whatever is put into a template is escaped, unless a template made
 * it. Attribute values must stand in double quotes.
 *
 * https://html.spec.whatwg.org/multipage/parsing.html
 */

/** HTML that a template made. */
export interface Html {
  readonly html: string;
}

type Part = string | number | undefined | Html | readonly Html[];

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** The template's tag. Undefined puts nothing. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return { html: strings.map((text, index) => text + render(parts[index])).join('') };
}

function render(part: Part): string {
  if (part === undefined) {
    return '';
  }
  if (typeof part === 'number') {
    return String(part);
  }
  if (typeof part === 'string') {
    return part.replace(/[&<>"'\p{Bidi_Control}]/gu, (character) => entities[character] ?? codePointOf(character));
  }
  return 'html' in part ? part.html : part.map((each) => each.html).join('');
}

/** A mark that turns the direction of what follows is shown, not obeyed. */
function codePointOf(character: string): string {
  return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`;
}

/** Text of the agent's own that must stand as it is: a style sheet, a script. */
export function verbatim(text: string): Html {
  return { html: text };
}

/**
 * A log line as text for a terminal: time, level, message, then the fields as `key=value`. Only the form differs from
 * the JSON line it is made from.
 */

const colours: Readonly<Record<string, string>> = { debug: '90', info: '36', warn: '33', error: '31' };

/**
 * @param line one JSON line with `level`, `time` (RFC 3339), `message` and fields
 * @param colour true when escape sequences for colours are understood
 * @returns one line with its newline; a line that is not JSON is returned unchanged
 */
export function formatLine(line: string, colour: boolean): string {
  const entry = parseEntry(line);
  if (entry === undefined) {
    return line;
  }
  const { level, time, message, stack, ...fields } = entry;
  const paint = (code: string, text: string): string => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  const name = String(level);
  const parts = [
    paint('90', String(time).slice(11, 23)),
    paint(colours[name] ?? '0', name.toUpperCase().padEnd(5)),
    escapeControls(String(message)),
    ...Object.entries(fields).map(([key, value]) => `${paint('90', `${key}=`)}${formatValue(value)}`),
  ];
  // The stack is the one field of many lines; its own line breaks are what makes it readable.
  const tail = typeof stack === 'string' ? `\n${stack.split('\n').map(escapeControls).join('\n')}` : '';
  return `${parts.join(' ')}${tail}\n`;
}

function parseEntry(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const entry: unknown = JSON.parse(line);
    return typeof entry === 'object' && entry !== null ? { ...entry } : undefined;
  } catch {
    return undefined;
  }
}

function formatValue(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return escapeControls(/^[^\s"=]+$/.test(text) ? text : JSON.stringify(text));
}

/** Texts come from signers and pods; none of them may move the cursor, forge a line or turn it round. */
function escapeControls(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
}

/** A text that is written for a pod, made to fit a test: paths, ports and names in it are others here. */

/** What stands in the text, and what stands there in a test. */
export type Places = Readonly<Record<string, string>>;

/** The text with every key of `places` exchanged for its value, the longest first, and nothing exchanged twice. */
export function replaced(text: string, places: Places): string {
  const keys = Object.keys(places).sort((one, other) => other.length - one.length);
  const pattern = keys.map((key) => key.replaceAll(/\W/g, '\\$&')).join('|');
  return text.replaceAll(new RegExp(pattern, 'g'), (key) => places[key] ?? key);
}

/** A text of at most so many characters, with a mark where more was cut off. */
export function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most)}…`;
}

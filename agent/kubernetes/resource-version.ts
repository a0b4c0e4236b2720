/**
 * Which of two states of the API server is the older one. A resourceVersion is a decimal number that only grows, of any length.
 *
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
 */

/** False where one of them is no number: then nothing can be said. */
export function isOlder(version: string, than: string): boolean {
  if (!/^[1-9]\d*$/.test(version) || !/^[1-9]\d*$/.test(than)) {
    return false;
  }
  return version.length === than.length ? version < than : version.length < than.length;
}

/**
 * When a certificate is valid. Node gives a date that OpenSSL cannot read as any date at all, taken from memory that nothing was
 * written to; the text of it is a date for no one, and tells.
 *
 * https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.5
 */
import type { X509Certificate } from 'node:crypto';

/** Milliseconds since the epoch; NaN for a date that cannot be read. */
export interface Validity {
  readonly notBefore: number;
  readonly notAfter: number;
}

export function validityOf({ validFrom, validFromDate, validTo, validToDate }: X509Certificate): Validity {
  return { notBefore: timeOf(validFrom, validFromDate), notAfter: timeOf(validTo, validToDate) };
}

function timeOf(text: string, date: Date): number {
  return Number.isNaN(Date.parse(text)) ? Number.NaN : date.getTime();
}

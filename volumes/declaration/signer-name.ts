/** Reads the name of a signer, which both kinds of sources may hold. */
import { type Fault, type Mapping, readString } from './fields.ts';
import { signerNameFault } from './names.ts';

/** `signerName`, required, well formed. */
export function readSignerName(mapping: Mapping, path: string, faults: Fault[]): string | undefined {
  const before = faults.length;
  const signerName = readString(mapping, 'signerName', path, faults);
  if (faults.length > before) {
    return undefined;
  }
  const message =
    signerName === undefined ? 'is required, like "example.com/signer-name"' : signerNameFault(signerName);
  if (message !== undefined) {
    faults.push({ field: `${path}.signerName`, message });
  }
  return signerName;
}

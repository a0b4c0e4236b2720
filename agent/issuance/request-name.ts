/**
 * Names of certificate requests. The name is a function of what is asked for and with which key, so that a request
 * whose reply was lost can be made again and is found to exist instead of being made twice.
 */
import { createHash } from 'node:crypto';

const longestVolumeName = 63;
const hashDigits = 40;

/**
 * A DNS subdomain name (RFC 1123): `<volume>-<source>-<hash>`, the first two to be recognised by people.
 * @param spki SubjectPublicKeyInfo, DER.
 */
export function requestNameFor(podUID: string, volumeName: string, sourceIndex: number, spki: Uint8Array): string {
  const readable = volumeName
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, longestVolumeName)
    .replaceAll(/^-|-$/g, '');
  const inputs = JSON.stringify([podUID, volumeName, sourceIndex, Buffer.from(spki).toString('base64')]);
  const hash = createHash('sha256').update(inputs).digest('hex').slice(0, hashDigits);
  return `${readable === '' ? 'volume' : readable}-${sourceIndex}-${hash}`;
}

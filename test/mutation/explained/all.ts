/** The reasons of all rooms. */
import { credential } from './credential.ts';
import { csi } from './csi.ts';
import type { Explanation } from './explanation.ts';
import { files } from './files.ts';
import { issuance } from './issuance.ts';
import { keystores } from './keystores.ts';
import { lifecycle } from './lifecycle.ts';
import { mounts } from './mounts.ts';
import { requests } from './requests.ts';
import { stored } from './stored.ts';
import { volumeLifecycle } from './volume-lifecycle.ts';
import { volumes } from './volumes.ts';

export const explained: readonly Explanation[] = [
  ...credential,
  ...csi,
  ...files,
  ...issuance,
  ...keystores,
  ...lifecycle,
  ...mounts,
  ...requests,
  ...stored,
  ...volumeLifecycle,
  ...volumes,
];

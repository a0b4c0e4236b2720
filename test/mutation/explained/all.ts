/** The reasons of all rooms. */
<<<<<<< HEAD

import { credential } from './credential.ts';

=======

import { csi } from './csi.ts';

>>>>>>> mut-csi

import type { Explanation } from './explanation.ts';
import { files } from './files.ts';
import { issuance } from './issuance.ts';
import { lifecycle } from './lifecycle.ts';
import { requests } from './requests.ts';
import { volumeLifecycle } from './volume-lifecycle.ts';
import { volumes } from './volumes.ts';

<<<<<<< HEAD
export const explained: readonly Explanation[] = [
  ...credential,
  ...files,
  ...issuance,
  ...lifecycle,
  ...requests,
  ...volumeLifecycle,
  ...volumes,
];
=======
export const explained: readonly Explanation[] = [...issuance, ...lifecycle, ...volumes, ...csi];
>>>>>>> mut-csi

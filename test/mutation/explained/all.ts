/** The reasons of all rooms. */
import { csi } from './csi.ts';
import type { Explanation } from './explanation.ts';
import { issuance } from './issuance.ts';
import { keystores } from './keystores.ts';
import { lifecycle } from './lifecycle.ts';
import { mounts } from './mounts.ts';
import { volumes } from './volumes.ts';

export const explained: readonly Explanation[] = [
  ...issuance,
  ...lifecycle,
  ...volumes,
  ...csi,
  ...keystores,
  ...mounts,
];

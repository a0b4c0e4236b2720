/** Every file that can be named, by room. A file is added when all that survives in it has a test or a reason. */
import { credential } from './credential.ts';
import { csi } from './csi.ts';
import { files } from './files.ts';
import { issuance } from './issuance.ts';
import { keystores } from './keystores.ts';
import { lifecycle } from './lifecycle.ts';
import { mounts } from './mounts.ts';
import type { Part } from './part.ts';
import { requests } from './requests.ts';
import { rooms } from './rooms.ts';
import { stored } from './stored.ts';
import { volumeLifecycle } from './volume-lifecycle.ts';
import { volumes } from './volumes.ts';

export const parts: readonly Part[] = [
  ...credential,
  ...csi,
  ...files,
  ...issuance,
  ...keystores,
  ...lifecycle,
  ...mounts,
  ...requests,
  ...rooms,
  ...stored,
  ...volumeLifecycle,
  ...volumes,
];

/** The reasons of all rooms. */
import type { Explanation } from './explanation.ts';
import { issuance } from './issuance.ts';
import { lifecycle } from './lifecycle.ts';
import { requests } from './requests.ts';
import { volumes } from './volumes.ts';

export const explained: readonly Explanation[] = [...issuance, ...requests, ...lifecycle, ...volumes];

/** What survives in volumes/, each with its reason. */
import type { Explanation } from './explanation.ts';

export const volumes: readonly Explanation[] = [];

/** What survives in agent/lifecycle/, each with its reason. */
import type { Explanation } from './explanation.ts';

export const lifecycle: readonly Explanation[] = [];

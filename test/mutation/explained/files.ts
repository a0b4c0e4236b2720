/** What survives in the files of volumes/ that write and read files, each with its reason. */
import type { Explanation } from './explanation.ts';

export const files: readonly Explanation[] = [];

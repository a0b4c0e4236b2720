/** The files of volumes/, each with the tests that hold it. */
import type { Part } from './part.ts';

export const volumes: readonly Part[] = [];

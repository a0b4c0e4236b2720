/** The files of agent/lifecycle/, each with the tests that hold it. */
import type { Part } from './part.ts';

export const lifecycle: readonly Part[] = [];

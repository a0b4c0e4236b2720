/** What a privileged container that fills its own volume costs the agent at most. */

/** Files and directories that are removed in one go, below a directory that goes. */
export const mostEntriesCleared = 262_144;
/**
 * Those that are removed of a set of files for whoever needs its room, who may be another pod and waits for it: more than nearly all sets
 * have, and done within a second.
 */
export const mostEntriesForRoom = 16_384;

/** Files and directories of a set that are looked at before a change: more than any declaration asks for. */
export const mostEntriesSurveyed = 32_768;
/** Files of a set that stay while others change: more than those of 256 sources and of a thousand trust domains. */
export const mostStaying = 4_096;

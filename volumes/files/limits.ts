/** What a privileged container that fills its own volume costs the agent at most. */

/** Files and directories that are removed in one go, below a directory that goes. */
export const mostEntriesCleared = 262_144;

/** Files of a set that stay while others change: more than those of 256 sources and of a thousand trust domains. */
export const mostStaying = 4_096;

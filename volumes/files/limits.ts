/** What a privileged container that fills its own volume costs the agent at most. */

/** Files and directories that are removed in one go, below a directory that goes. */
export const mostEntriesCleared = 262_144;

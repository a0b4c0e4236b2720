/** How much telling pods of their new files may cost the agent, whatever they answer. */

/** Turns under way on the node at the same time, and attempts that may wait for one, of all pods and of one; looks at what is served have as many. */
export const maxAttemptsUnderWay = 8;
export const maxAttemptsWaiting = 2_048;
export const maxAttemptsWaitingOfPod = 32;
/** How long a pod's turn is, milliseconds; an answer that takes longer is waited for beside the turns, in so many places. */
export const quickMs = 500;
export const maxSlowUnderWay = 16;
/** Pods of which it is known how fast they answered. */
export const maxPacesKnown = 4_096;
/** Attempts for one change. */
export const maxAttempts = 8;
/** How long one attempt may take, from its turn to its answer, milliseconds. */
export const maxAttemptMs = 10_000;
/** Least time between the beginnings of two attempts, milliseconds: a bundle that changes all the time is no flood of reloads. */
export const attemptSpacingMs = 5_000;
/** Processes of the node that are looked through for those of a pod, and of a pod that are signalled. */
export const maxProcessesSeen = 65_536;
export const maxProcessesTold = 32;
/** The thread in which TLS is spoken to pods: its heap, and how much longer than a look or a request it may take to answer, milliseconds. */
export const maxThreadMiB = 16;
export const maxThreadGraceMs = 5_000;
/** The head of an answer; what comes after it is not read. */
export const maxAnswerHeadBytes = 8 * 1024;

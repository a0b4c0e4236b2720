/** The clock that every part of the agent is given, so that tests can set the time. */

/** The wall clock. Times are milliseconds since the epoch. */
export interface Clock {
  now(): number;
  /**
   * Calls back once, when the wall clock has reached `time`, however far away that is; also when the wall clock is set
   * back to before this call, so that nothing waits for a time that has moved away. @returns cancels.
   */
  at(time: number, callback: () => void): () => void;
}

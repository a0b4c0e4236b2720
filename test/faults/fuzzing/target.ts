/** What is fuzzed: something that takes bytes from outside. */
export interface FuzzTarget {
  /** Words of the format, for mutations that know it. */
  readonly words: readonly string[];
  /** Inputs that are made anew in each run, beside those of the corpus. */
  readonly seeds?: () => Promise<readonly Uint8Array[]>;
  /** Longest input that is tried; longer ones are cut. */
  readonly mostBytes: number;
  /**
   * How many blocks of the agent's and its libraries' code an input may run through, for each of its bytes, beyond what an empty
   * one does.
   */
  readonly mostWorkPerByte: number;
  /** Takes an input as the agent would. What it throws is a finding: errors of the expected kinds are for it to catch. */
  run(input: Uint8Array): void;
}

/** What is said between the process that tries changes and the one that asks for it. */

/** Tests are named by their file and their number in it. */
export type TestName = `${number}:${number}`;

/** What is tried: nothing is changed where no change is named, and all tests are run where none are. */
export interface Wish {
  readonly change?: string;
  readonly tests?: readonly TestName[];
  /** How often the changed place may be passed: a loop that no longer ends is seen by it. */
  readonly hits: number;
}

/** How it ended: each test passed, one failed, an error came that nobody caught, or nothing was left that could end the test. */
export type Ending = 'passed' | 'failed' | 'uncaught' | 'stuck';

export interface Answer {
  readonly ending: Ending;
  readonly message: string;
  /** How often each change was passed: outside of any test, and in each test. */
  readonly outside: Hits;
  readonly inTests: Readonly<Record<TestName, Hits>>;
  /** How long each test took, in milliseconds. */
  readonly took: Readonly<Record<TestName, number>>;
  readonly residentBytes: number;
}

export type Hits = Readonly<Record<string, number>>;

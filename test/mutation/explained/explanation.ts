/** A change that no test can notice, or that none should, with the reason. Whatever else survives fails `npm run test:mutation`. */
export interface Explanation {
  readonly file: string;
  /** What stands there, in one line, and what it was changed to. */
  readonly text: string;
  readonly instead: string;
  /** The line in which it begins, where the same text stands elsewhere in the file and is held there. */
  readonly on?: string;
  readonly why: string;
}

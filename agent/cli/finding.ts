/** One thing that `inspect` has to say of a volume. */

export interface Finding {
  /** `note`: worth knowing, and neither good nor bad. */
  readonly level: 'ok' | 'note' | 'warn' | 'fail';
  /** File within the volume; absent: it is about all of them. */
  readonly path?: string;
  readonly message: string;
}

/** Makes findings about one file. */
export type Say = (level: Finding['level'], message: string) => Finding;

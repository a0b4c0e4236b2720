/** Explanations put together: one reason, the files that it is true of, and what it is about in each. */
import type { Explanation } from './explanation.ts';

/** What stands there, what is put in its place, and the line, where the same stands elsewhere. */
type Survivor = readonly [text: string, instead: string, on?: string];

/** By file, without its ending. */
export type Survivors = Readonly<Record<string, readonly Survivor[]>>;

/** @returns what explains the changes of a directory, whose files may be given by paths below it */
export function becauseIn(directory: string): (why: string, survivors: Survivors) => Explanation[] {
  return (why, survivors) =>
    Object.entries(survivors).flatMap(([name, all]) =>
      all.map(([text, instead, on]) => {
        const place = on === undefined ? {} : { on };
        return { file: `${directory}/${name}.ts`, text, instead, ...place, why };
      }),
    );
}

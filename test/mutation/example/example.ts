/** What the trial of changes is itself tried on: the test beside it gives it with changes in it. */
export function double(number: number): number {
  return number * 2;
}

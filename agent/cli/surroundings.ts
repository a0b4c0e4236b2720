/** What a subcommand is given to speak through, and to be stopped by. */

export interface CommandSurroundings {
  readonly stdout: { write(text: string): unknown; readonly isTTY?: boolean };
  readonly stderr: { write(text: string): unknown };
  /** Fires when the program is asked to stop. */
  readonly stopping: AbortSignal;
}

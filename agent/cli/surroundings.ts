/** What a subcommand is given: where to write, and the signal to stop. */

export interface CommandSurroundings {
  readonly stdout: {
    write(text: string): unknown;
    readonly isTTY?: boolean;
    /** Size of the terminal. */
    readonly rows?: number;
    readonly columns?: number;
  };
  readonly stderr: { write(text: string): unknown };
  /** Fires when the program is asked to stop. */
  readonly stopping: AbortSignal;
}

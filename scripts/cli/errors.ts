/** How a command fails: with one line and an exit code. */

/** Exit codes of every command. */
export const EXIT = { ok: 0, failed: 1, usage: 2, refused: 3 } as const;

/** Why a failure may pass by itself: nothing answers; or what answers cannot do it now, or broke off. */
export type Passing = 'unreachable' | 'unavailable';

/** A failure to show as one line, with the exit code it ends with. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exitCode: number;
  readonly passes: Passing | undefined;

  constructor(message: string, exitCode: number = EXIT.failed, passes?: Passing, cause?: unknown) {
    super(message, { cause });
    this.exitCode = exitCode;
    this.passes = passes;
  }
}

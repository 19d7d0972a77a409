/** A gateway does not start, as a worker of it did not. */
export class WorkerStartError extends Error {
  override readonly name = 'WorkerStartError';
  readonly code: number;
  readonly problems: readonly string[];

  constructor(code: number, problems: readonly string[]) {
    super(problems.join('; ') || 'a worker ended before it listened');
    this.code = code;
    this.problems = problems;
  }
}

/** How long clients may take. Tests shorten it. */
export interface Timings {
  /** To say who they are, in ms; then the close code is 4408. */
  readonly openingMs: number;
  /**
   * How often Liveness looks which clients were heard, in ms. It pings a client that was not heard at twelve looks in a row,
   * and cuts it off after twenty-four.
   */
  readonly lookMs: number;
  /** To send the head of a request, and all of it, in ms; then the status is 408. */
  readonly headMs: number;
  readonly requestMs: number;
  /** To read something of what waits for them, in ms, at least, and at most twice as long; then the close code is 4509. */
  readonly stallMs: number;
  /** To have a backup made and read all of it, in ms: it takes room on the log's disk meanwhile. */
  readonly backupMs: number;
}

export const TIMINGS: Timings = { openingMs: 5000, lookMs: 2500, headMs: 10_000, requestMs: 30_000, stallMs: 30_000, backupMs: 3_600_000 };

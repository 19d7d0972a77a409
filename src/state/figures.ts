/** What health, metrics and statistics say of the states. */
export interface StateFigures {
  /** Entities of the contract. */
  readonly entities: number;
  /** Entities that are being made of the log; with how far that is, 0 to 1. */
  readonly building: Readonly<Record<string, number>>;
  /** Those of them of which nothing can be given until then. */
  readonly unserved: readonly string[];
  /** Numbers of the log that were not folded yet; null where nobody folds here. */
  readonly behind: number | null;
  /** Numbers of the log that are not stored as states yet. */
  readonly unstored: number;
  /** States in memory. */
  readonly inMemory: number;
  readonly watches: number;
  /** Changes of states that were seen here, items that were handed to watches, and snapshots that they were given; since the start. */
  readonly changed: number;
  readonly delivered: number;
  readonly snapshots: number;
  /** Events on which a reducer failed. */
  readonly failed: number;
  /** By entity: what goes on and what has ended, as it was counted last. */
  readonly things: Readonly<Record<string, { readonly open: number; readonly closed: number }>>;
  /** Why nothing can be stored, or made. */
  readonly problem: string | undefined;
}

/** Of a contract that has no entities. */
export const NO_STATES: StateFigures = {
  entities: 0,
  building: {},
  unserved: [],
  behind: null,
  unstored: 0,
  inMemory: 0,
  watches: 0,
  changed: 0,
  delivered: 0,
  snapshots: 0,
  failed: 0,
  things: {},
  problem: undefined,
};

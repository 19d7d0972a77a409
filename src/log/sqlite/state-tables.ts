/** The tables of the states of entities in an SQLite database, as migrations of a log's file: parts of its versions, and never changed. */
export const STATE_TABLES = `
   CREATE TABLE state_build (
     number INTEGER PRIMARY KEY AUTOINCREMENT,
     entity TEXT NOT NULL,
     version INTEGER NOT NULL,
     start_seq INTEGER NOT NULL,
     seq INTEGER NOT NULL,
     written_seq INTEGER NOT NULL,
     is_complete INTEGER NOT NULL DEFAULT 0,
     built_seq INTEGER NOT NULL DEFAULT 0,
     forgotten_seq INTEGER NOT NULL DEFAULT 0
   ) STRICT;
   CREATE TABLE state (
     id INTEGER PRIMARY KEY,
     build INTEGER NOT NULL,
     key TEXT NOT NULL,
     channel TEXT NOT NULL,
     family INTEGER NOT NULL,
     condition INTEGER NOT NULL,
     seq INTEGER NOT NULL,
     since_seq INTEGER NOT NULL,
     ended_ms INTEGER,
     body TEXT NOT NULL,
     checksum INTEGER NOT NULL
   ) STRICT;
   CREATE UNIQUE INDEX state_by_key ON state (build, key, channel);
   CREATE INDEX state_by_family ON state (build, family, condition, seq);
   CREATE INDEX state_by_channel ON state (channel, build, condition, seq);
   CREATE TABLE state_removal (
     number INTEGER PRIMARY KEY AUTOINCREMENT,
     build INTEGER NOT NULL,
     channel TEXT NOT NULL,
     key TEXT NOT NULL,
     seq INTEGER NOT NULL,
     at_ms INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX state_removal_by_seq ON state_removal (seq);
   CREATE INDEX state_removal_by_time ON state_removal (at_ms);`;

/** What is forgotten behind a number, and up to where who has the states may not have heard of it. */
export const FORGOTTEN_STATES = `
   ALTER TABLE state ADD COLUMN forgotten_seq INTEGER;
   CREATE INDEX state_by_forgotten ON state (build, forgotten_seq) WHERE forgotten_seq IS NOT NULL;
   DROP INDEX state_removal_by_seq;
   ALTER TABLE state_removal ADD COLUMN until_seq INTEGER NOT NULL DEFAULT 9007199254740991;
   CREATE INDEX state_removal_by_until ON state_removal (until_seq);
   CREATE INDEX state_removal_by_key ON state_removal (build, key, channel);`;

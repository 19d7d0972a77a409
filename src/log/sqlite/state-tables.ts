/** The tables of the states of entities in an SQLite database, as a migration of a log's file: part of its version, and never changed. */
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

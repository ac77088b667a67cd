-- How far backfills by hours have come, and which hours they could not read; written by src/ingest/backfill_hours.
-- Hours are UTC, such as 2026-01-01T05; times are microseconds since 1970-01-01T00:00:00Z.

-- Backfills that are under way or were broken off: the same one again goes on where this one stands.
CREATE TABLE backfill_run (
    -- Where the hours come from.
    source     TEXT NOT NULL,
    first_hour TEXT NOT NULL,
    last_hour  TEXT NOT NULL,
    next_hour  TEXT NOT NULL,
    PRIMARY KEY (source, first_hour, last_hour)
);

-- Hours that the source did not have, or not as a whole. A row goes once its hour was read to its end.
CREATE TABLE backfill_gap (
    source     TEXT   NOT NULL,
    hour       TEXT   NOT NULL,
    reason     TEXT   NOT NULL,
    noticed_at BIGINT NOT NULL,
    PRIMARY KEY (source, hour)
);

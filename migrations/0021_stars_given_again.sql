-- Stars that were seen to be given again, and gaps of keywords.

-- The newest time at which a star was given that had been recorded with an earlier one; written by src/ingest/sighting.rs. It was taken
-- back in between, which nobody told us of, so the log says nothing of it. signal: its keyed hash.
CREATE TABLE star_given_again (
    account  BLOB   NOT NULL,
    signal   BLOB   NOT NULL,
    given_at BIGINT NOT NULL,
    PRIMARY KEY (account, signal)
);

-- When a search last showed less than had been written since the look before; NULL: never.
ALTER TABLE source_cursor ADD COLUMN last_gap_at BIGINT;

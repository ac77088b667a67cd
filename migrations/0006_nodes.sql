-- Which nodes share this database, and which of them does what only one may do at a time; written by src/lease and
-- src/http/rate_limit. Times are microseconds since 1970-01-01T00:00:00Z, by the clock of the node that writes them.
-- Embedded there is one node, and all of this stays empty.

-- A process that serves.
CREATE TABLE node (
    -- The ULID that it gave itself at its start.
    id         TEXT   NOT NULL PRIMARY KEY,
    -- What it does: words with commas between.
    roles      TEXT   NOT NULL,
    -- It counts as dead from then on. As long as it lives it moves this forward.
    expires_at BIGINT NOT NULL
);

-- A right that one node has at a time, such as to write one projection.
CREATE TABLE lease (
    name   TEXT   NOT NULL PRIMARY KEY,
    -- The node that has it for as long as that lives; NULL: given back.
    holder TEXT,
    -- Grows by one with every acquisition and never goes back. What a holder writes stands on the epoch that it got.
    epoch  BIGINT NOT NULL
);

CREATE INDEX lease_by_holder ON lease (holder);

-- How many requests each account has made, or nodes have set aside for it, in its newest minute.
CREATE TABLE rate_window (
    -- `acct_...`
    account TEXT   NOT NULL PRIMARY KEY,
    -- The beginning of the minute, in seconds since 1970-01-01T00:00:00Z.
    start   BIGINT NOT NULL,
    used    BIGINT NOT NULL
);

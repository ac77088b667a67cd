-- The event log: append-only, one row an event, written by crates/event-log alone. Other programs may read it.
--
-- INTEGER PRIMARY KEY makes the position SQLite's own row id (no second tree); PostgreSQL reads it as BIGINT.

CREATE TABLE events (
    -- Place in the log: 1, 2, 3 ... without gaps, in commit order.
    position    INTEGER NOT NULL PRIMARY KEY,
    -- The 16 bytes of the ULID in the event id `evt_...`, chosen by the writer.
    id          BLOB    NOT NULL UNIQUE,
    -- `category-account` or `category-account-key`, such as `lead-acct_01J...-3f9c...`.
    stream      TEXT    NOT NULL,
    -- Place in the stream: 1, 2, 3 ... without gaps.
    version     BIGINT  NOT NULL,
    -- The 16 bytes of the ULID in the account id `acct_...`; the same account as in the stream's name.
    account     BLOB    NOT NULL,
    -- Type of the event, such as `LeadCaptured`, and the version of the shape of its data.
    type        TEXT    NOT NULL,
    schema      BIGINT  NOT NULL,
    -- Microseconds since 1970-01-01T00:00:00Z; never goes back along positions.
    recorded_at BIGINT  NOT NULL,
    -- JSON object. What belongs to a person is sealed inside, as base64.
    data        TEXT    NOT NULL,
    UNIQUE (stream, version)
);

CREATE INDEX events_by_account ON events (account, position);

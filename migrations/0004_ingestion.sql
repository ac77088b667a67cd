-- How far GitHub was read and what is still to be looked up; written by src/ingest.
-- Times are microseconds since 1970-01-01T00:00:00Z, ids the 16 bytes of their ULID.

-- How far the events feed of a repository was read; accounts that track the same repository share the row.
CREATE TABLE poll_cursor (
    -- owner/name in lower case.
    repo            TEXT   NOT NULL PRIMARY KEY,
    etag            TEXT,
    -- The newest event seen: ids began anew once, so the time goes with it.
    last_event_id   TEXT,
    last_event_at   BIGINT,
    next_poll_at    BIGINT NOT NULL,
    last_success_at BIGINT,
    -- When the feed last held less than what had happened since the poll before.
    last_gap_at     BIGINT,
    -- The newest request to track the repository that a poll has served with the whole feed.
    serves          BIGINT,
    -- Failures in a row.
    failures        BIGINT NOT NULL,
    state           TEXT   NOT NULL
);

-- Deliveries of GitHub's own webhooks that were taken already.
CREATE TABLE github_delivery (
    delivery_id TEXT   NOT NULL PRIMARY KEY,
    received_at BIGINT NOT NULL
);

CREATE INDEX github_delivery_by_age ON github_delivery (received_at);

-- Leads whose profile is to be looked up.
CREATE TABLE enrichment (
    account  BLOB   NOT NULL,
    -- The keyed hash that stands for the person.
    person   BLOB   NOT NULL,
    -- Whom to look up, sealed under the person's key for that event.
    event_id BLOB   NOT NULL,
    sealed   BLOB   NOT NULL,
    -- NULL: withheld, so nobody is looked up yet.
    due_at   BIGINT,
    etag     TEXT,
    -- Failures in a row.
    failures BIGINT NOT NULL,
    PRIMARY KEY (account, person)
);

CREATE INDEX enrichment_by_due ON enrichment (due_at);

-- How far each follower of the log has come.
CREATE TABLE follower (
    name     TEXT   NOT NULL PRIMARY KEY,
    position BIGINT NOT NULL
);

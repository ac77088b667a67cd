-- How far GitHub was read and what is still to be looked up; written by src/ingest.
-- Ids are the prefixed texts, times microseconds since 1970-01-01T00:00:00Z.

-- How far the activity of a tracked repository was read.
CREATE TABLE poll_cursor (
    account         TEXT   NOT NULL,
    repo_id         TEXT   NOT NULL PRIMARY KEY,
    etag            TEXT,
    -- The newest event seen: ids restart now and then, so the time goes with it.
    last_event_id   TEXT,
    last_event_at   BIGINT,
    next_poll_at    BIGINT NOT NULL,
    last_success_at BIGINT,
    -- Failures in a row.
    failures        BIGINT NOT NULL,
    state           TEXT   NOT NULL
);

CREATE INDEX poll_cursor_by_due ON poll_cursor (next_poll_at);

-- Deliveries of GitHub's own webhooks that were taken already.
CREATE TABLE github_delivery (
    delivery_id TEXT   NOT NULL PRIMARY KEY,
    received_at BIGINT NOT NULL
);

CREATE INDEX github_delivery_by_age ON github_delivery (received_at);

-- Leads whose profile is to be looked up.
CREATE TABLE enrichment (
    account  TEXT   NOT NULL,
    person   BLOB   NOT NULL,
    lead_id  TEXT   NOT NULL,
    due_at   BIGINT NOT NULL,
    etag     TEXT,
    failures BIGINT NOT NULL,
    PRIMARY KEY (account, person)
);

CREATE INDEX enrichment_by_due ON enrichment (due_at);

-- How far each follower of the log has come.
CREATE TABLE follower (
    name     TEXT   NOT NULL PRIMARY KEY,
    position BIGINT NOT NULL
);

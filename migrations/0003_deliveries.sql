-- How far each webhook endpoint has come, what it still has to be told, and what was tried; written by src/deliver.
-- Ids are the prefixed texts, times microseconds since 1970-01-01T00:00:00Z.

-- An endpoint is a reader of the log.
CREATE TABLE webhook_cursor (
    endpoint      TEXT   NOT NULL PRIMARY KEY,
    account       TEXT   NOT NULL,
    -- Everything up to here was delivered, was of no concern or stands in webhook_retry.
    position      BIGINT NOT NULL,
    -- So was everything from there up to here …
    seen          BIGINT NOT NULL,
    -- … but for these positions: numbers with commas between.
    unsettled     TEXT   NOT NULL,
    -- Until when the receiver asked to be left alone.
    silent_until  BIGINT,
    -- The first failed attempt since the last successful one, and how many there were.
    failing_since BIGINT,
    failures      BIGINT NOT NULL
);

-- Events that an endpoint did not take yet, or never took.
CREATE TABLE webhook_retry (
    endpoint TEXT   NOT NULL,
    position BIGINT NOT NULL,
    -- The stream of the lead that the event is about: later events of the lead wait behind this one.
    stream   TEXT   NOT NULL,
    -- Attempts made so far.
    attempts BIGINT NOT NULL,
    due_at   BIGINT NOT NULL,
    -- waiting, or failed: no further attempt is made.
    state    TEXT   NOT NULL,
    -- Why the last attempt failed; NULL: none was made yet.
    failure  TEXT,
    PRIMARY KEY (endpoint, position)
);

-- Attempts of the last 30 days, for the customer to look at.
CREATE TABLE webhook_attempt (
    -- Begins with the time, so that the oldest are found by it.
    id          TEXT   NOT NULL PRIMARY KEY,
    endpoint    TEXT   NOT NULL,
    position    BIGINT NOT NULL,
    event_id    TEXT   NOT NULL,
    attempt     BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    duration_us BIGINT NOT NULL,
    -- HTTP status; NULL: no answer came.
    status      BIGINT,
    -- delivered, or why it failed.
    outcome     TEXT   NOT NULL,
    -- The beginning of what the receiver answered, sealed for the person that the event is about.
    answer      BLOB
);

CREATE INDEX webhook_attempt_by_endpoint ON webhook_attempt (endpoint, at);

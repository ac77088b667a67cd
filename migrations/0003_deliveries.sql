-- How far each webhook endpoint has come, what it still has to be told, and what was tried; written by src/deliver.
-- Ids are the prefixed texts, times microseconds since 1970-01-01T00:00:00Z.

-- An endpoint is a reader of the log.
CREATE TABLE webhook_cursor (
    endpoint TEXT   NOT NULL PRIMARY KEY,
    -- Everything up to here was delivered or stands in webhook_retry.
    position BIGINT NOT NULL,
    -- What was delivered out of order beyond the position.
    beyond   TEXT   NOT NULL
);

-- Events that an endpoint did not take yet.
CREATE TABLE webhook_retry (
    endpoint TEXT   NOT NULL,
    position BIGINT NOT NULL,
    -- The lead the event is about: later events of the lead wait behind this one.
    lead_key TEXT   NOT NULL,
    -- Attempts made so far.
    attempt  BIGINT NOT NULL,
    due_at   BIGINT NOT NULL,
    reason   TEXT   NOT NULL,
    PRIMARY KEY (endpoint, position)
);

CREATE INDEX webhook_retry_by_due ON webhook_retry (endpoint, due_at);

-- Attempts, for the customer to look at.
CREATE TABLE webhook_attempt (
    id          TEXT   NOT NULL PRIMARY KEY,
    endpoint    TEXT   NOT NULL,
    position    BIGINT NOT NULL,
    event_id    TEXT   NOT NULL,
    attempt     BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    duration_us BIGINT NOT NULL,
    -- HTTP status; NULL: no answer came.
    status      BIGINT,
    outcome     TEXT   NOT NULL,
    -- The beginning of what the receiver answered.
    response    BLOB
);

CREATE INDEX webhook_attempt_by_endpoint ON webhook_attempt (endpoint, at);

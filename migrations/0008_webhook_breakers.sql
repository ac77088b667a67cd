-- What the delivery engine keeps of an endpoint beside its cursor; written by src/deliver.

-- Until when the endpoint's breaker is open, NULL if it is closed; and how many times it opened without closing.
ALTER TABLE webhook_cursor ADD COLUMN open_until BIGINT;
ALTER TABLE webhook_cursor ADD COLUMN openings BIGINT NOT NULL DEFAULT 0;

-- The place of the event that added the endpoint: its cursor may stand before that.
ALTER TABLE webhook_cursor ADD COLUMN added_at BIGINT NOT NULL DEFAULT 0;

-- Replays that an endpoint has not come to the end of: a second cursor, over a part of the log. Times are microseconds
-- since 1970-01-01T00:00:00Z.
CREATE TABLE webhook_replay (
    endpoint TEXT   NOT NULL,
    replay   TEXT   NOT NULL,
    -- The place of the event that asked for it: what follows that is told anyway.
    place    BIGINT NOT NULL,
    since    BIGINT NOT NULL,
    until    BIGINT NOT NULL,
    -- Everything up to here was told once more; NULL: not begun.
    position BIGINT,
    PRIMARY KEY (endpoint, replay)
);

-- Where the log ends, on PostgreSQL: the one row that every append moves, so that appends of all processes stand in line.
-- crates/event-log makes the row and moves it. On SQLite the table stays empty: one thread writes, and the last event tells.

CREATE TABLE log_head (
    id          BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    -- Position of the last event.
    position    BIGINT NOT NULL,
    -- Its time; the next event gets no earlier one.
    recorded_at BIGINT NOT NULL,
    -- The time that stood there before the newest events: what they had to be raised to.
    floor       BIGINT NOT NULL
);

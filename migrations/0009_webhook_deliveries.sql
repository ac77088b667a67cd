-- What a customer asks of deliveries: to look at them, and to have one sent again. Read by src/deliver/journal.

-- The stream that the event belongs to, and which webhook it is; NULL for attempts of older versions.
ALTER TABLE webhook_attempt ADD COLUMN stream TEXT;
ALTER TABLE webhook_attempt ADD COLUMN event TEXT;

-- Deliveries are listed by their place in the log, and named by their event.
DROP INDEX webhook_attempt_by_endpoint;
CREATE INDEX webhook_attempt_by_position ON webhook_attempt (endpoint, position);
CREATE INDEX webhook_attempt_by_event ON webhook_attempt (event_id, endpoint);

-- Deliveries that are to be sent again; the endpoint's worker takes them from here.
CREATE TABLE webhook_resend (
    endpoint     TEXT   NOT NULL,
    position     BIGINT NOT NULL,
    stream       TEXT   NOT NULL,
    requested_at BIGINT NOT NULL,
    PRIMARY KEY (endpoint, position)
);

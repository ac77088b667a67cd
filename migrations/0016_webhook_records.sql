-- What else is kept of how a webhook endpoint fares; written by src/deliver.

-- The place of the endpoint's last change when the row was written: what failed before a change counts no more.
ALTER TABLE webhook_cursor ADD COLUMN changed_at BIGINT NOT NULL DEFAULT 0;
-- HTTP status that the last failed attempt was answered with; NULL: none was.
ALTER TABLE webhook_cursor ADD COLUMN last_status BIGINT;

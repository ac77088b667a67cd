-- Whose profile is looked up one by one: with an ETag from there it costs nothing while it does not change, and who has another
-- login by now is found by the id alone. 0: with many others at once.
ALTER TABLE enrichment ADD COLUMN by_rest BIGINT NOT NULL DEFAULT 0;
UPDATE enrichment SET by_rest = 1 WHERE etag IS NOT NULL;
DROP INDEX enrichment_by_due;
CREATE INDEX enrichment_by_due ON enrichment (by_rest, due_at);

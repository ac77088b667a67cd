-- Which token a budget is of, and why it is not used; written by src/ingest.

-- The beginning of the hash of what requests carry, never the token itself; NULL: it was not noted yet.
ALTER TABLE rate_budget ADD COLUMN fingerprint TEXT;
-- 1: nothing is asked before blocked_until since GitHub does not take the token.
ALTER TABLE rate_budget ADD COLUMN is_refused BIGINT NOT NULL DEFAULT 0;

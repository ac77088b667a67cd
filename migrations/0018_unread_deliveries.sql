-- A delivery whose payload could not be read waits behind the others, so that it holds up none of them.
ALTER TABLE missed_delivery ADD COLUMN due_at BIGINT NOT NULL DEFAULT 0;
-- How often it was asked for in vain.
ALTER TABLE missed_delivery ADD COLUMN failures BIGINT NOT NULL DEFAULT 0;

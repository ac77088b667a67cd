-- What POST requests with an `Idempotency-Key` were answered with in the last 24 hours; written by src/http/idempotency.
-- Times are microseconds since 1970-01-01T00:00:00Z.

CREATE TABLE idempotency_key (
    -- `acct_...`
    account    TEXT   NOT NULL,
    -- SHA-256 of the key.
    key_hash   BLOB   NOT NULL,
    -- SHA-256 of what was asked: route and body.
    request    BLOB   NOT NULL,
    -- The 16 bytes of a ULID: who works on it, or did.
    claim      BLOB   NOT NULL,
    claimed_at BIGINT NOT NULL,
    -- Sealed for the account and the claim, since it may hold a secret; NULL: it is still being worked on.
    answer     BLOB,
    PRIMARY KEY (account, key_hash)
);

CREATE INDEX idempotency_key_by_age ON idempotency_key (claimed_at);

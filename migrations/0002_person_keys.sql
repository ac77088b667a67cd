-- The key of each person, wrapped by the root key; written by crates/vault alone.

CREATE TABLE person_keys (
    -- 16 bytes: the keyed hash that stands for the person within the account.
    person  BLOB NOT NULL PRIMARY KEY,
    -- `acct_...`
    account TEXT NOT NULL,
    -- The wrapped key; NULL: the person was erased and never gets a key again.
    wrapped BLOB
);

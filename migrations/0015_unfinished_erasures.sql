-- Erasures whose key is destroyed and whose event is not known to stand in the log; written by crates/vault alone, together with
-- the tombstone, so that whoever is killed in between leaves something to be made up for.

CREATE TABLE unfinished_erasure (
    -- `acct_...`
    account TEXT NOT NULL,
    -- The person, as in person_keys.
    person  BLOB NOT NULL,
    PRIMARY KEY (account, person)
);

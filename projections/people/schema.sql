-- fold 2
-- What people are called, by keyed hashes of their logins. login: what somebody was called at named_at, the newest moment that
-- is known of; position: of the event that said it. shown: what the lists show, the name of the last profile or, before there
-- is one, that of the first signal; NULL if nothing said it. A person who was erased keeps the row, so that the name does not
-- fall to whoever bore it before.
CREATE TABLE people (
    lead_id  BLOB   NOT NULL PRIMARY KEY,
    account  BLOB   NOT NULL,
    person   BLOB   NOT NULL,
    login    BLOB   NOT NULL,
    named_at BIGINT NOT NULL,
    position BIGINT NOT NULL,
    shown    BLOB,
    erased   BIGINT NOT NULL
);

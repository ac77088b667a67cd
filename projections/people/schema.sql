-- fold 3
-- What people are and were called, by keyed hashes of their logins: a row for each login of a person. named_at: the newest moment
-- that is known at which the person was called so; position: of the event that said it. shown_at: the position of the event that
-- made it the name that lists show, which is that of the last profile or, before there is one, that of the first signal; NULL if
-- none did. Rows of a person who was erased stay, so that a name does not fall to whoever bore it before.
CREATE TABLE people (
    lead_id  BLOB   NOT NULL,
    login    BLOB   NOT NULL,
    account  BLOB   NOT NULL,
    person   BLOB   NOT NULL,
    named_at BIGINT NOT NULL,
    position BIGINT NOT NULL,
    shown_at BIGINT,
    erased   BIGINT NOT NULL,
    PRIMARY KEY (lead_id, login)
);

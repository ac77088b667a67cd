-- fold 1
-- Whom a login means: each person's newest one, by its keyed hash. position: of the event that last said it.
CREATE TABLE people (
    lead_id  BLOB   NOT NULL PRIMARY KEY,
    account  BLOB   NOT NULL,
    login    BLOB   NOT NULL,
    person   BLOB   NOT NULL,
    position BIGINT NOT NULL
);

-- fold 1
CREATE TABLE accounts (
    account   BLOB   NOT NULL PRIMARY KEY,
    name      TEXT   NOT NULL,
    plan      TEXT   NOT NULL,
    opened_at BIGINT NOT NULL
);

-- fold 1
-- How each source of a tracked repository or keyword works, as it was last recorded. subject: the id of what it feeds.
CREATE TABLE sources (
    account   BLOB   NOT NULL,
    subject   BLOB   NOT NULL,
    collector TEXT   NOT NULL,
    state     TEXT   NOT NULL,
    reason    TEXT   NOT NULL,
    since     BIGINT NOT NULL,
    PRIMARY KEY (account, subject, collector)
);

-- fold 1
-- called: its name on GitHub, if that is another by now than the one it is tracked under.
CREATE TABLE tracked_repos (
    account    BLOB   NOT NULL,
    repo_id    BLOB   NOT NULL,
    full_name  TEXT   NOT NULL,
    relation   TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    called     TEXT,
    PRIMARY KEY (account, repo_id)
);

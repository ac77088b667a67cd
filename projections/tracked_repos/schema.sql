-- fold 1
CREATE TABLE tracked_repos (
    account    BLOB   NOT NULL,
    repo_id    BLOB   NOT NULL,
    full_name  TEXT   NOT NULL,
    relation   TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account, repo_id)
);

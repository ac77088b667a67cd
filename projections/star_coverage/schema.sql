-- fold 1
-- What a repository's growth in stars is measured from: the first public count since it is tracked.
CREATE TABLE star_coverage (
    account    BLOB   NOT NULL,
    repo_id    BLOB   NOT NULL,
    first      BIGINT NOT NULL,
    counted_at BIGINT NOT NULL,
    PRIMARY KEY (account, repo_id)
);

-- Captured stars by the moment they were given, whether or not the repository is tracked. repo: its keyed hash.
CREATE TABLE star_moments (
    account     BLOB   NOT NULL,
    repo        BLOB   NOT NULL,
    occurred_at BIGINT NOT NULL,
    given       BIGINT NOT NULL,
    PRIMARY KEY (account, repo, occurred_at)
);

-- fold 2
CREATE TABLE tracked_keywords (
    account       BLOB   NOT NULL,
    keyword_id    BLOB   NOT NULL,
    keyword       TEXT   NOT NULL,
    scan_targets  TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    targets_since BIGINT NOT NULL,
    PRIMARY KEY (account, keyword_id)
);

-- fold 1
CREATE TABLE api_keys (
    account    BLOB   NOT NULL,
    key_id     BLOB   NOT NULL,
    label      TEXT   NOT NULL,
    hash       TEXT   NOT NULL,
    hint       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT,
    PRIMARY KEY (account, key_id)
);

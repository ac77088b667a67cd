-- fold 1
CREATE TABLE webhook_endpoints (
    account         BLOB   NOT NULL,
    endpoint_id     BLOB   NOT NULL,
    url             TEXT   NOT NULL,
    events          TEXT   NOT NULL,
    description     TEXT,
    secret          BLOB   NOT NULL,
    secret_event    BLOB   NOT NULL,
    disabled_reason TEXT,
    last_failure    TEXT,
    added_at        BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (account, endpoint_id)
);

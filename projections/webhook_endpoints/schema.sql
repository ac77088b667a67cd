-- fold 3
CREATE TABLE webhook_endpoints (
    account         BLOB   NOT NULL,
    endpoint_id     BLOB   NOT NULL,
    kind            TEXT   NOT NULL,
    url             TEXT   NOT NULL,
    events          TEXT   NOT NULL,
    filters         TEXT   NOT NULL,
    start_from      TEXT   NOT NULL,
    description     TEXT,
    secret          BLOB   NOT NULL,
    secret_event    BLOB   NOT NULL,
    previous_secret BLOB,
    previous_event  BLOB,
    previous_until  BIGINT,
    status          TEXT   NOT NULL,
    status_since    BIGINT NOT NULL,
    disabled_reason TEXT,
    last_failure    TEXT,
    added_at        BIGINT NOT NULL,
    changed_at      BIGINT NOT NULL,
    receiver_since  BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (account, endpoint_id)
);

CREATE TABLE webhook_replays (
    account      BLOB   NOT NULL,
    endpoint_id  BLOB   NOT NULL,
    replay_id    BLOB   NOT NULL,
    since        BIGINT NOT NULL,
    until        BIGINT NOT NULL,
    requested_at BIGINT NOT NULL,
    place        BIGINT NOT NULL,
    PRIMARY KEY (account, endpoint_id, replay_id)
);

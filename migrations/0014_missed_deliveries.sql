-- Deliveries of GitHub's webhooks that did not arrive, by GitHub's own record, and whose payloads are still to be read there;
-- written by src/ingest/missed.rs. Times are microseconds since 1970-01-01T00:00:00Z.
CREATE TABLE missed_delivery (
    -- owner/name in lower case.
    repo         TEXT   NOT NULL,
    -- X-GitHub-Delivery, the same on every attempt.
    guid         TEXT   NOT NULL,
    -- GitHub's numbers of the webhook and of the attempt.
    hook         BIGINT NOT NULL,
    attempt      BIGINT NOT NULL,
    -- X-GitHub-Event.
    event        TEXT   NOT NULL,
    delivered_at BIGINT NOT NULL,
    PRIMARY KEY (repo, guid)
);

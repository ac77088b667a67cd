-- Files that a search for code found and that were followed up; written by src/ingest/code_hits.
CREATE TABLE code_seen (
    -- The keyed hash of keyword, repository, path and text: a file that is changed is a new one.
    mark    BLOB   NOT NULL PRIMARY KEY,
    -- When the search found it last; microseconds since 1970-01-01T00:00:00Z.
    seen_at BIGINT NOT NULL
);

CREATE INDEX code_seen_by_age ON code_seen (seen_at);

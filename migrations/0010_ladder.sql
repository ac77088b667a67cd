-- How the sources of tracked things were last seen, how far each was read, and what GitHub grants; written by src/ingest.
-- Times are microseconds since 1970-01-01T00:00:00Z, ids the 16 bytes of their ULID.

-- How a source works since when, by what every look since then has shown. subject: 'repo:owner/name' or 'keyword:phrase',
-- folded; accounts that track the same share the row.
CREATE TABLE source_look (
    subject   TEXT   NOT NULL,
    collector TEXT   NOT NULL,
    state     TEXT   NOT NULL,
    reason    TEXT   NOT NULL,
    since     BIGINT NOT NULL,
    PRIMARY KEY (subject, collector)
);

-- How far a source was read, besides the events feeds, and when it is due. subject: as above, or the name of a pack.
CREATE TABLE source_cursor (
    subject         TEXT   NOT NULL,
    collector       TEXT   NOT NULL,
    next_at         BIGINT NOT NULL,
    -- Seconds between two looks at present.
    pace            BIGINT NOT NULL,
    last_success_at BIGINT,
    -- What was read up to, as the collector writes it.
    reached         TEXT,
    -- Failures in a row.
    failures        BIGINT NOT NULL,
    PRIMARY KEY (subject, collector)
);

-- GitHub's public number of stars of a repository: the last one, and an older one that captured stars are held against once
-- every source has had the time to tell of them.
CREATE TABLE star_count (
    -- owner/name in lower case.
    repo       TEXT   NOT NULL PRIMARY KEY,
    stars      BIGINT NOT NULL,
    counted_at BIGINT NOT NULL,
    held_stars BIGINT NOT NULL,
    held_at    BIGINT NOT NULL,
    next_at    BIGINT NOT NULL,
    pace       BIGINT NOT NULL
);

-- What GitHub grants a token, as its last answers said. token: 'host', or the account that it is of.
CREATE TABLE rate_budget (
    token         TEXT   NOT NULL,
    resource      TEXT   NOT NULL,
    granted       BIGINT,
    remaining     BIGINT,
    resets_at     BIGINT,
    blocked_until BIGINT,
    noted_at      BIGINT NOT NULL,
    PRIMARY KEY (token, resource)
);

-- Further sources that told of a signal which another had brought: that one stands in the event. signal: its keyed hash.
CREATE TABLE sighting (
    account   BLOB   NOT NULL,
    signal    BLOB   NOT NULL,
    collector TEXT   NOT NULL,
    seen_at   BIGINT NOT NULL,
    PRIMARY KEY (account, signal, collector)
);

-- Pull requests that a feed told of by number alone, and whose text is still to be read.
CREATE TABLE bare_pull (
    repo   TEXT   NOT NULL,
    number BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    tries  BIGINT NOT NULL,
    PRIMARY KEY (repo, number)
);

CREATE INDEX bare_pull_by_due ON bare_pull (due_at, repo, number);

-- fold 2
-- A lead: a person within an account. A lead's id is its own in all accounts, so it alone is the key: shorter, and no
-- primary key begins with the account, so one index alone can serve a listing. position: of the lead's first event.
-- status: how far the customer got, or erased. Of an erased lead that was shown once there is left by what kind of signal it
-- was captured, when, and when it was erased; NULL in all others.
CREATE TABLE leads (
    lead_id       BLOB   NOT NULL PRIMARY KEY,
    account       BLOB   NOT NULL,
    person        BLOB   NOT NULL,
    status        TEXT   NOT NULL,
    withheld      BIGINT NOT NULL,
    position      BIGINT NOT NULL,
    first_kind    TEXT,
    first_seen_at BIGINT,
    erased_at     BIGINT
);

-- The latest profile, sealed for event_id. Beside leads, so that an enrichment is an upsert into a table of its own.
CREATE TABLE lead_profiles (
    lead_id     BLOB   NOT NULL PRIMARY KEY,
    profile     BLOB   NOT NULL,
    event_id    BLOB   NOT NULL,
    recorded_at BIGINT NOT NULL
);

-- What the customer last noted: sealed for event_id, or NULL. A row for every lead that was edited.
CREATE TABLE lead_notes (
    lead_id     BLOB   NOT NULL PRIMARY KEY,
    notes       BLOB,
    event_id    BLOB   NOT NULL,
    recorded_at BIGINT NOT NULL
);

-- The timeline. number: the event's version in the lead's stream, so it grows and has gaps. person: sealed for event_id.
CREATE TABLE lead_signals (
    lead_id     BLOB   NOT NULL,
    number      BIGINT NOT NULL,
    account     BLOB   NOT NULL,
    kind        TEXT   NOT NULL,
    keyword     TEXT,
    occurred_at BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    collector   TEXT   NOT NULL,
    event_id    BLOB   NOT NULL,
    person      BLOB   NOT NULL,
    PRIMARY KEY (lead_id, number)
);

-- Stars of the timeline that were taken back, by the event that recorded the signal; taken_back_at is NULL once the star was
-- given again. recorded_at: of the last event about it.
CREATE TABLE lead_stars_gone (
    lead_id       BLOB   NOT NULL,
    event_id      BLOB   NOT NULL,
    taken_back_at BIGINT,
    recorded_at   BIGINT NOT NULL,
    PRIMARY KEY (lead_id, event_id)
);

-- A row per lead and facet, for the first signal that has the facet: '' (any), 't:stargazer', 'r:<repository>',
-- 't:stargazer r:<repository>', the repository by its keyed hash. visible: 0 while the lead is withheld.
CREATE TABLE lead_facets (
    lead_id     BLOB   NOT NULL,
    facet       TEXT   NOT NULL,
    account     BLOB   NOT NULL,
    visible     BIGINT NOT NULL,
    captured_at BIGINT NOT NULL,
    position    BIGINT NOT NULL,
    number      BIGINT NOT NULL,
    PRIMARY KEY (lead_id, facet)
);

-- Every listing is one range of this index, whatever the filters: see queries.rs.
CREATE INDEX lead_facets_newest ON lead_facets (account, facet, captured_at, position, lead_id, number)
    WHERE visible = 1;

CREATE INDEX leads_withheld ON leads (account, position, person) WHERE withheld = 1;

-- The texts that a new keyword is tried on, newest first.
CREATE INDEX lead_signals_with_keyword ON lead_signals (account, recorded_at, lead_id, number) WHERE keyword IS NOT NULL;

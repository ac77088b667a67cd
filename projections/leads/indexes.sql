-- Every listing is one range of this index, whatever the filters: see queries.rs.
CREATE INDEX lead_facets_newest ON lead_facets (account, facet, captured_at, position, lead_id, number)
    WHERE visible = 1;

CREATE INDEX leads_withheld ON leads (account, position, person) WHERE withheld = 1;

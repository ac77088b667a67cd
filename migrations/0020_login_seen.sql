-- By which login a person was last seen, so that whoever has another one by now is looked up; written by src/ingest/enrich.rs.

-- The keyed hash of the login; NULL: the event did not tell it.
ALTER TABLE enrichment ADD COLUMN login BLOB;

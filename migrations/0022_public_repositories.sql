-- Whether a repository was said to be public by the last count that said anything of it; until one has, what is shown with rights alone
-- is not read. 1: it was.
ALTER TABLE star_count ADD COLUMN is_public BIGINT NOT NULL DEFAULT 0;

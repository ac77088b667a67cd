-- Whether a repository was said to be public by the last count that said anything of it; until one has, what is shown with rights alone
-- is not read. 1: it was.
ALTER TABLE star_count ADD COLUMN is_public BIGINT NOT NULL DEFAULT 0;
-- A number of stars was never taken from anything but a public repository. One that became private since stands in source_look.
UPDATE star_count SET is_public = 1 WHERE stars > 0;

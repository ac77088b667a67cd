CREATE INDEX people_by_login ON people (account, login, named_at, position);
CREATE INDEX people_by_shown ON people (account, shown, named_at, position);

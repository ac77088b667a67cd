CREATE INDEX people_by_login ON people (account, login, named_at, erased, position);

CREATE INDEX people_by_login ON people (account, login, position, lead_id, person);

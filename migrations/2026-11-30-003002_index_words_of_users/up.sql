-- A word that one user has rarely and others often is found without a look at the others' entries: PostgreSQL goes
-- through the user's entries and the word's together, and skips in the longer list.
CREATE INDEX CONCURRENTLY IF NOT EXISTS entries_words_of_users ON entries USING gin (user_id, search);

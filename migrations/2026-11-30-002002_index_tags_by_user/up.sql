-- As for entries. tags_user_id_id_key has these columns too, but the index of a constraint cannot become another's.
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS tags_by_user ON tags (user_id, id);

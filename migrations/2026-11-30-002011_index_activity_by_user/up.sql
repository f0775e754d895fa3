-- As for entries.
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS activity_by_user ON activity (user_id, id);

CREATE INDEX CONCURRENTLY IF NOT EXISTS activity_newest_first ON activity (user_id, last_at DESC, id DESC);

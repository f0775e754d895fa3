CREATE INDEX CONCURRENTLY IF NOT EXISTS activity_by_hour ON activity (hour);

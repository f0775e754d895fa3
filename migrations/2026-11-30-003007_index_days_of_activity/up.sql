-- What expires.
CREATE INDEX CONCURRENTLY IF NOT EXISTS activity_days ON activity (hour) WHERE by_day;

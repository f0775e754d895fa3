-- What becomes days.
CREATE INDEX CONCURRENTLY IF NOT EXISTS activity_hours ON activity (hour) WHERE NOT by_day;

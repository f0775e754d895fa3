CREATE INDEX CONCURRENTLY IF NOT EXISTS entries_search ON entries USING gin (search);

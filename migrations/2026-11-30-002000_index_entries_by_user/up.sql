-- The key of entries is to be (user_id, id), so that the table can be divided by user. The index is built beside
-- everybody who reads and writes, which is not possible in a transaction.
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS entries_by_user ON entries (user_id, id);

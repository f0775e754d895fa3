-- In the migration before this, until it was found that making an index has every writer wait.
CREATE INDEX CONCURRENTLY IF NOT EXISTS idempotency_keys_by_created_at ON idempotency_keys (created_at);

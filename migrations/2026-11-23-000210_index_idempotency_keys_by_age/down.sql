DROP INDEX IF EXISTS idempotency_keys_by_created_at;

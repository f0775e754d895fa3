DELETE FROM revocations WHERE lifted_at IS NOT NULL;
ALTER TABLE revocations DROP COLUMN changed_in, DROP COLUMN lifted_at;

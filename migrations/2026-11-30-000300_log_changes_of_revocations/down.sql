DELETE FROM revocations WHERE lifted_at IS NOT NULL;
DROP INDEX revocations_lifted;
DROP INDEX revocations_by_change;
ALTER TABLE revocations DROP COLUMN changed_in, DROP COLUMN lifted_at;

DROP INDEX IF EXISTS revocations_by_change;

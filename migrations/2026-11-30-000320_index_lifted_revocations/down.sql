DROP INDEX IF EXISTS revocations_lifted;

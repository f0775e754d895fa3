-- What every process has noticed long ago.
CREATE INDEX CONCURRENTLY IF NOT EXISTS revocations_lifted ON revocations (lifted_at) WHERE lifted_at IS NOT NULL;

-- What a process reads that has read before.
CREATE INDEX CONCURRENTLY IF NOT EXISTS revocations_by_change ON revocations (changed_in, id);

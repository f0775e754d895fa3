-- The entries that are still to be cut into words by the program. It is empty when all are.
CREATE INDEX CONCURRENTLY IF NOT EXISTS entries_to_cut ON entries (user_id, created_at, id) WHERE search_form = 0;

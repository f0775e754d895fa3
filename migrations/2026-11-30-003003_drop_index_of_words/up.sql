-- The index of words and users takes its place, in the previous release too.
DROP INDEX CONCURRENTLY IF EXISTS entries_search;

DROP INDEX CONCURRENTLY IF EXISTS entries_words_of_users;

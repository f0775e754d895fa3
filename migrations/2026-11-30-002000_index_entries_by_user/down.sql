DROP INDEX IF EXISTS entries_by_user;

DROP INDEX IF EXISTS tags_by_user;

DROP INDEX IF EXISTS activity_by_user;

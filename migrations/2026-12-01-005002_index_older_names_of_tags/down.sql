DROP INDEX IF EXISTS tags_of_older_names;

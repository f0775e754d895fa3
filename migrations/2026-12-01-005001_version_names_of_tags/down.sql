COMMENT ON COLUMN tags.folded_name IS 'The name without regard to case, for uniqueness and order. Folded by the application, for lower() depends on the locale that the database was made with.';
ALTER TABLE tags DROP COLUMN name_version;

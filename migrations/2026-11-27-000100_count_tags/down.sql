DROP FUNCTION count_tags() CASCADE;
ALTER TABLE entries DROP COLUMN tag_count;

DROP TRIGGER entry_tags_are_counted ON entry_tags;
DROP FUNCTION count_tags();
ALTER TABLE entries DROP COLUMN tag_count;

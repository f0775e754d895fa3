CREATE OR REPLACE TRIGGER entry_tags_are_counted AFTER INSERT OR DELETE ON entry_tags
    FOR EACH ROW EXECUTE FUNCTION count_tags();

COMMENT ON TRIGGER entry_tags_are_counted ON entry_tags IS NULL;
COMMENT ON COLUMN entries.tag_count IS 'How many tags are on it. The trigger of entry_tags keeps it, whoever writes there.';

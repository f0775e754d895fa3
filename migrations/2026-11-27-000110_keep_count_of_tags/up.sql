-- Where the migration before this made it already, it stays what it is.
CREATE OR REPLACE TRIGGER entry_tags_are_counted AFTER INSERT OR DELETE ON entry_tags
    FOR EACH ROW EXECUTE FUNCTION count_tags();

-- The statements that link and unlink tags count them themselves, and their connections say so: one change of an
-- entry's row instead of one for each link. The trigger stays for programs of the release before, which do not count,
-- and for whoever writes links by hand; it goes with the next release.
CREATE OR REPLACE TRIGGER entry_tags_are_counted AFTER INSERT OR DELETE ON entry_tags
    FOR EACH ROW
    WHEN (current_setting('epicme.counts_tags', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION count_tags();

COMMENT ON TRIGGER entry_tags_are_counted ON entry_tags IS 'Counts the links that a connection writes which has not set epicme.counts_tags to on.';
COMMENT ON COLUMN entries.tag_count IS 'How many tags are on it. The statement that links or unlinks tags changes it; a trigger does for connections that do not say that theirs do.';

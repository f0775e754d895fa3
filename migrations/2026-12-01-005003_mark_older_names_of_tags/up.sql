-- The release before renames a tag by its own rule and leaves name_version as it is. Connections of this release say that
-- theirs is the rule of today. The trigger goes with the next release.
CREATE FUNCTION mark_older_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.name_version := 0;
    RETURN NEW;
END $$;

CREATE TRIGGER older_names_are_marked BEFORE UPDATE OF name, folded_name ON tags
    FOR EACH ROW
    WHEN (current_setting('epicme.keys_tags', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION mark_older_name();

COMMENT ON TRIGGER older_names_are_marked ON tags IS 'Marks the names that a connection changes which has not set epicme.keys_tags to on.';

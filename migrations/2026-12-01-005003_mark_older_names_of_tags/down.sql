DROP TRIGGER older_names_are_marked ON tags;
DROP FUNCTION mark_older_name();

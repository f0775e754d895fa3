-- Every list shows how many tags an entry has. Counting them was half of what a list cost the database; a
-- number in the row costs it nothing, and an entry is listed more often than it is labelled.
ALTER TABLE entries ADD COLUMN tag_count integer NOT NULL DEFAULT 0;

COMMENT ON COLUMN entries.tag_count IS 'How many tags are on it. The trigger of entry_tags keeps it, whoever writes there.';

UPDATE entries e
   SET tag_count = l.links
  FROM (SELECT user_id, entry_id, count(*) AS links FROM entry_tags GROUP BY user_id, entry_id) l
 WHERE e.user_id = l.user_id AND e.id = l.entry_id;

-- Row by row: of a statement's rows together the plan is kept, and one that was made for a hundred thousand
-- would read the whole table for one.
CREATE FUNCTION count_tags() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE entries SET tag_count = tag_count + 1 WHERE user_id = NEW.user_id AND id = NEW.entry_id;
    ELSE
        -- Nothing, if it is the entry that is deleted.
        UPDATE entries SET tag_count = tag_count - 1 WHERE user_id = OLD.user_id AND id = OLD.entry_id;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER entry_tags_are_counted AFTER INSERT OR DELETE ON entry_tags
    FOR EACH ROW EXECUTE FUNCTION count_tags();

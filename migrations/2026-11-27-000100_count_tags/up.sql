-- Every list shows how many tags an entry has. Counting them was half of what a list cost the database; a
-- number in the row costs it nothing, and an entry is listed more often than it is labelled.
--
-- Three migrations: this one writes no row, for its default is a constant. The next keeps the number from then on, and
-- the one after that counts what was there before.
ALTER TABLE entries ADD COLUMN tag_count integer NOT NULL DEFAULT 0;

COMMENT ON COLUMN entries.tag_count IS 'How many tags are on it. The trigger of entry_tags keeps it, whoever writes there.';

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

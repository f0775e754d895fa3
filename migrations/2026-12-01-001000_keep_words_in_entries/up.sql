-- The program cuts texts into words itself from now on, for PostgreSQL's parser finds no word in most of the scripts of
-- the world, and takes `coffee/tea` for the name of a file. It writes the words with the entry. The column stays, and the
-- words that it has been given, so that both releases find what either has written.
--
-- A program of the release before writes entries without words, and texts with the words of another. It is told by what
-- it leaves as it was: a new entry has no words then, and a changed one has the number of its form with the same sign.
CREATE FUNCTION cut_words_in_english() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.search := setweight(to_tsvector('english', NEW.title), 'A') || setweight(to_tsvector('english', NEW.content), 'B');
    NEW.search_form := 0;
    RETURN NEW;
END $$;

COMMENT ON FUNCTION cut_words_in_english IS 'Fills entries.search for a program that does not.';

ALTER TABLE entries ALTER COLUMN search DROP EXPRESSION, ADD COLUMN search_form smallint NOT NULL DEFAULT 0;

CREATE TRIGGER entries_have_words BEFORE INSERT ON entries
    FOR EACH ROW WHEN (NEW.search IS NULL) EXECUTE FUNCTION cut_words_in_english();

CREATE TRIGGER entries_have_words_of_new_texts BEFORE UPDATE OF title, content ON entries
    FOR EACH ROW
    WHEN (NEW.search_form = OLD.search_form
          AND (NEW.title IS DISTINCT FROM OLD.title OR NEW.content IS DISTINCT FROM OLD.content))
    EXECUTE FUNCTION cut_words_in_english();

COMMENT ON TRIGGER entries_have_words ON entries IS 'Cuts a text into words for a program that does not do it itself.';
COMMENT ON TRIGGER entries_have_words_of_new_texts ON entries IS 'Cuts a changed text into words for a program that does not do it itself.';
COMMENT ON COLUMN entries.search IS 'What full-text search sees: the words of the title and the content.';
COMMENT ON COLUMN entries.search_form IS 'What cut the text into words: 0 PostgreSQL, in English; 1 and -1 the program. Whoever changes the text and its words changes the sign, by which a trigger tells it from a program that leaves them.';

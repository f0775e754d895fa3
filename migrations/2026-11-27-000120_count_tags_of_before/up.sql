-- Counts the tags of the entries that were there before the trigger. An entry whose number is right is only read, so
-- that this can run again, and changes nothing where an earlier version of the migration has counted already.
--
-- It is exact while others write: the entry is locked first, and counted by a statement that begins after that. Whoever has
-- put a tag on it has committed by then, or waits with the trigger's change of the number until this has. Adding a tag
-- needs the entry's key alone, which this lock leaves free.
DO $$
DECLARE
    last  bigint := 0;
    until bigint;
    wrong bigint[];
    tries integer := 0;
BEGIN
    -- Who waits for an entry of this batch waits no longer than this, and what the batch takes.
    PERFORM set_config('lock_timeout', '50ms', false);
    LOOP
        SELECT max(id) INTO until FROM (SELECT id FROM entries WHERE id > last ORDER BY id LIMIT 200) batch;
        EXIT WHEN until IS NULL;
        BEGIN
            SELECT array_agg(id) INTO wrong FROM (
                SELECT e.id FROM entries e
                 WHERE e.id > last AND e.id <= until
                   AND e.tag_count <> (SELECT count(*) FROM entry_tags l WHERE l.user_id = e.user_id AND l.entry_id = e.id)
                 ORDER BY e.id FOR NO KEY UPDATE
            ) found;
            UPDATE entries e
               SET tag_count = (SELECT count(*) FROM entry_tags l WHERE l.user_id = e.user_id AND l.entry_id = e.id)
             WHERE e.id = ANY (wrong);
            last := until;
            tries := 0;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            tries := tries + 1;
            IF tries > 100 THEN
                RAISE;
            END IF;
        END;
        COMMIT;
        IF tries > 0 THEN
            PERFORM pg_sleep(0.1);
        END IF;
    END LOOP;
END $$;

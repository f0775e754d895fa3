-- A statement that waits for a table has everybody wait who comes after it. So this waits for 50 ms at a time, lets the
-- others go on in between, and commits as soon as it is done.
CREATE PROCEDURE run_at_a_free_moment(statement text) LANGUAGE plpgsql AS $$
DECLARE
    done boolean := false;
BEGIN
    FOR attempt IN 1..600 LOOP
        PERFORM set_config('lock_timeout', '50ms', true);
        BEGIN
            EXECUTE statement;
            done := true;
        EXCEPTION WHEN lock_not_available THEN
            NULL;
        END;
        COMMIT;
        EXIT WHEN done;
        PERFORM pg_sleep(0.2);
    END LOOP;
    IF NOT done THEN
        RAISE EXCEPTION 'no moment was found in which no long transaction uses the table: %', statement;
    END IF;
END $$;

COMMENT ON PROCEDURE run_at_a_free_moment IS 'Runs a statement that takes a table for a moment, when nobody has to wait for it.';

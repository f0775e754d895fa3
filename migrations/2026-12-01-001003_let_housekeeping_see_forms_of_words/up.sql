-- Housekeeping finds the entries that are still to be cut into words, and sees whose they are. Their
-- texts are read and their words written as their user would.
CREATE OR REPLACE PROCEDURE set_row_level_security(wanted boolean) LANGUAGE plpgsql AS $$
DECLARE
    step record;
BEGIN
    IF wanted AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'epicme_housekeeping') THEN
        RAISE EXCEPTION 'there is no role epicme_housekeeping, which deletes the expired rows of all users'
            USING HINT = 'CREATE ROLE epicme_housekeeping; ALTER ROLE (the one that serves) NOINHERIT; GRANT epicme_housekeeping TO it';
    END IF;
    IF wanted THEN
        -- Housekeeping sees whose a row is and when it expires; of entries it sees no text.
        FOR step IN
            SELECT * FROM (VALUES
                ('idempotency_keys',    'SELECT, UPDATE, DELETE'),
                ('used_request_states', 'SELECT, UPDATE, DELETE'),
                ('sessions',            'SELECT, UPDATE, DELETE'),
                ('session_answers',     'SELECT (user_id, session, question, created_at), UPDATE (created_at), DELETE'),
                ('exports',             'SELECT, UPDATE, DELETE'),
                ('activity',            'SELECT, INSERT, UPDATE, DELETE'),
                ('tag_deletions',       'SELECT, UPDATE, DELETE'),
                ('entry_tags',          'SELECT, DELETE'),
                ('entries',             'SELECT (id, user_id, search_form, tag_count), UPDATE (tag_count)'),
                ('tags',                'SELECT, UPDATE (updated_at), DELETE'),
                ('users',               'SELECT (id), UPDATE (created_at)')) AS needed (relation, rights)
        LOOP
            EXECUTE format('GRANT %s ON %I TO epicme_housekeeping', step.rights, step.relation);
            IF NOT EXISTS (SELECT FROM pg_policy
                            WHERE polrelid = step.relation::regclass AND polname = 'housekeeping') THEN
                -- A role that is a member with INHERIT has its policies too, without being it.
                CALL run_at_a_free_moment(
                    format('CREATE POLICY housekeeping ON %I TO epicme_housekeeping
                            USING (current_user = ''epicme_housekeeping'')', step.relation));
                CALL run_at_a_free_moment(
                    format('COMMENT ON POLICY housekeeping ON %I IS %L', step.relation,
                           'Expired rows are deleted, whosever they are.'));
            END IF;
        END LOOP;
        GRANT SELECT, UPDATE, DELETE ON revocations TO epicme_housekeeping;
        -- In a divided table an id is a default, which needs a right of its own.
        EXECUTE format('GRANT USAGE ON SEQUENCE %s TO epicme_housekeeping', pg_get_serial_sequence('activity', 'id'));
    END IF;
    FOR step IN
        SELECT c.oid::regclass AS relation
          FROM pg_class c JOIN pg_policy p ON p.polrelid = c.oid
         WHERE p.polname = 'own_rows' AND c.relnamespace = current_schema()::regnamespace
           AND c.relrowsecurity <> wanted
         ORDER BY c.relname
    LOOP
        CALL run_at_a_free_moment(
            format('ALTER TABLE %s %s ROW LEVEL SECURITY', step.relation,
                   CASE WHEN wanted THEN 'ENABLE' ELSE 'DISABLE' END));
    END LOOP;
END $$;

DO $$
BEGIN
    -- Where it has been turned on before. Rights are given without a lock on the table.
    IF EXISTS (SELECT FROM pg_policy WHERE polrelid = 'entries'::regclass AND polname = 'housekeeping') THEN
        GRANT SELECT (search_form) ON entries TO epicme_housekeeping;
    END IF;
END $$;

-- What row-level security will hold each table to, once it is turned on (set_row_level_security): the rows of the user
-- that the connection has been given. Until then a policy has no effect, so that a program that gives its connections no
-- user goes on working. Without a user there is no row.
--
-- The user is compared by `=` and not by `= ANY`, so that PostgreSQL sees that it is the user of the statement's own
-- condition, and compares the two once and not the user of every row. With a second policy beside it PostgreSQL cannot do
-- so, which is why there is one only where rows are written, and for counts, of which a user has one row.
DO $$
DECLARE
    policy record;
BEGIN
    FOR policy IN
        SELECT relation, 'own_rows' AS name,
               format('FOR ALL USING (%I = nullif(current_setting(''epicme.user_id'', true), '''')::uuid)', owner) AS rule,
               'The rows of the user that the connection has been given.' AS meaning
          FROM (VALUES ('users', 'id'), ('entries', 'user_id'), ('tags', 'user_id'), ('entry_tags', 'user_id'),
                       ('usage', 'user_id'), ('idempotency_keys', 'user_id'), ('activity', 'user_id'),
                       ('sessions', 'user_id'), ('session_answers', 'user_id'), ('exports', 'user_id'),
                       ('export_parts', 'user_id'), ('used_request_states', 'user_id'),
                       ('tag_deletions', 'user_id')) AS owned (relation, owner)
        UNION ALL
        SELECT relation, 'rows_of_several',
               format(rule, 'user_id = ANY ((SELECT nullif(current_setting(''epicme.user_ids'', true), '''')::uuid[])::uuid[])'),
               'What is written for several users in one statement: the rows of the users that the connection has been given.'
          FROM (VALUES ('entries', 'FOR INSERT WITH CHECK (%s)'), ('usage', 'FOR ALL USING (%s)')) AS written (relation, rule)
    LOOP
        IF NOT EXISTS (SELECT FROM pg_policy
                        WHERE polrelid = policy.relation::regclass AND polname = policy.name) THEN
            CALL run_at_a_free_moment(
                format('CREATE POLICY %I ON %I %s', policy.name, policy.relation, policy.rule));
            CALL run_at_a_free_moment(
                format('COMMENT ON POLICY %I ON %I IS %L', policy.name, policy.relation, policy.meaning));
        END IF;
    END LOOP;
END $$;

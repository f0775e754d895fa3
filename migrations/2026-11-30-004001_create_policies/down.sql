DO $$
DECLARE
    policy record;
BEGIN
    FOR policy IN
        SELECT polrelid::regclass AS relation, polname AS name FROM pg_policy
         WHERE polname IN ('own_rows', 'rows_of_several') AND polrelid IN (
               SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace)
    LOOP
        CALL run_at_a_free_moment(format('DROP POLICY %I ON %s', policy.name, policy.relation));
    END LOOP;
END $$;

DROP PROCEDURE set_row_level_security(boolean);

DO $$
DECLARE
    policed record;
BEGIN
    FOR policed IN
        SELECT p.polrelid::regclass AS relation FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
         WHERE p.polname = 'housekeeping' AND c.relnamespace = current_schema()::regnamespace
    LOOP
        EXECUTE format('DROP POLICY housekeeping ON %s', policed.relation);
    END LOOP;
    FOR policed IN
        SELECT p.polrelid::regclass AS relation FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
         WHERE p.polname = 'own_rows' AND c.relnamespace = current_schema()::regnamespace AND c.relrowsecurity
    LOOP
        EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', policed.relation);
    END LOOP;
END $$;

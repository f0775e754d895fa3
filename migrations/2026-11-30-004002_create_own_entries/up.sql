-- `@@` is not leakproof: a search of the table itself would be planned without its index where row-level security is in
-- force, because PostgreSQL applies the policy first. A view reads with the rights of its owner, whom no policy binds,
-- and applies its own condition, together with which the index is used. It is the same condition.
CREATE VIEW own_entries AS
    SELECT id, user_id, title, is_favorite, created_at, tag_count, search FROM entries
     WHERE user_id = nullif(current_setting('epicme.user_id', true), '')::uuid;

COMMENT ON VIEW own_entries IS 'The entries of the user that the connection has been given, for searches.';

-- Whoever may read the table may read the view, which has less.
DO $$
DECLARE
    reader record;
BEGIN
    FOR reader IN
        SELECT DISTINCT CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(acl.grantee)) END AS name
          FROM pg_class c, aclexplode(c.relacl) AS acl
         WHERE c.oid = 'entries'::regclass AND acl.privilege_type = 'SELECT'
    LOOP
        EXECUTE format('GRANT SELECT ON own_entries TO %s', reader.name);
    END LOOP;
END $$;

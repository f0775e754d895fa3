-- The column is computed by PostgreSQL again, which rewrites the table.
DROP FUNCTION cut_words_in_english() CASCADE;
ALTER TABLE entries
    DROP COLUMN search,
    DROP COLUMN search_form,
    ADD COLUMN search tsvector NOT NULL GENERATED ALWAYS AS (
        setweight(to_tsvector('english', title), 'A') || setweight(to_tsvector('english', content), 'B')
    ) STORED;
COMMENT ON COLUMN entries.search IS 'What full-text search sees: the title (weight A) and the content (weight B).';
CREATE INDEX entries_words_of_users ON entries USING gin (user_id, search);

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

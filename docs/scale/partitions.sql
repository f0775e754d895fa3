-- Divides the tables of an empty, migrated database by user: each table that has user_id in its primary key becomes a
-- table of hash partitions on user_id, and users one on id. docs/SCALE.md says when that is worth it, how to bring the
-- rows of a database in use over, and what a later migration needs.
--
--   psql -v ON_ERROR_STOP=1 -c "SET epicme.partitions = 8" -f docs/scale/partitions.sql "$DATABASE_URL"
--
-- Columns, keys, indexes, triggers, policies, privileges and comments are read from the catalogue, so that the tables
-- have whatever the migrations gave them. Three things differ:
--   * ids come from a sequence as a default: PostgreSQL knows identity columns of partitioned tables from 17 on.
--   * a unique constraint that does not have the column which divides the table cannot be kept. The only one is that of
--     issuer and subject in users, and the id of a user is a hash of both.
--   * what belongs to storage (fillfactor, UNLOGGED) stands at the partitions.
DO $partition$
DECLARE
    parts    integer := coalesce(nullif(current_setting('epicme.partitions', true), ''), '8')::integer;
    home     text := current_schema();
    names    text[];
    one      record;
    part     record;
    is_empty boolean;
BEGIN
    CREATE TEMPORARY TABLE divided ON COMMIT DROP AS
        SELECT c.oid, c.relname AS name, a.attname AS divisor, c.relpersistence AS persistence,
               c.reloptions AS options, c.relacl AS privileges, c.relowner::regrole::text AS owner,
               c.relrowsecurity AS has_policies, c.relforcerowsecurity AS binds_owner, obj_description(c.oid) AS comment
          FROM pg_class c
          JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p'
          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (k.conkey)
         WHERE c.relnamespace = home::regnamespace AND c.relkind = 'r' AND NOT c.relispartition
           AND (a.attname = 'user_id' OR c.relname = 'users' AND a.attname = 'id');
    SELECT array_agg(name ORDER BY name) INTO names FROM divided;
    IF names IS NULL THEN
        RAISE EXCEPTION 'there is no table to divide: has the database been migrated, and is it not divided yet?';
    END IF;
    FOR one IN SELECT name FROM divided LOOP
        EXECUTE format('SELECT NOT EXISTS (SELECT FROM %I)', one.name) INTO is_empty;
        IF NOT is_empty THEN
            RAISE EXCEPTION 'the table % has rows: this is for an empty database', one.name;
        END IF;
    END LOOP;

    -- What the tables have, as statements, in the order in which they are to be run: keys, which foreign keys need,
    -- before those.
    CREATE TEMPORARY TABLE wanted (step integer, statement text) ON COMMIT DROP;
    INSERT INTO wanted
        SELECT CASE k.contype WHEN 'f' THEN 2 ELSE 1 END,
               format('ALTER TABLE %I ADD CONSTRAINT %I %s', d.name, k.conname, pg_get_constraintdef(k.oid))
          FROM divided d JOIN pg_constraint k ON k.conrelid = d.oid
         WHERE k.contype = 'f'
            OR k.contype IN ('p', 'u') AND EXISTS (
                   SELECT FROM pg_attribute a
                    WHERE a.attrelid = d.oid AND a.attnum = ANY (k.conkey) AND a.attname = d.divisor);
    INSERT INTO wanted
        SELECT 3, pg_get_indexdef(i.indexrelid)
          FROM divided d JOIN pg_index i ON i.indrelid = d.oid
         WHERE NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.conrelid = d.oid);
    INSERT INTO wanted
        SELECT 4, pg_get_triggerdef(t.oid) FROM divided d JOIN pg_trigger t ON t.tgrelid = d.oid WHERE NOT t.tgisinternal;
    INSERT INTO wanted
        SELECT 5, format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name) FROM divided WHERE has_policies
        UNION ALL
        SELECT 5, format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name) FROM divided WHERE binds_owner
        UNION ALL
        SELECT 5, format('CREATE POLICY %I ON %I AS %s FOR %s TO %s', p.policyname, p.tablename, p.permissive, p.cmd,
                         (SELECT string_agg(CASE r WHEN 'public' THEN 'public' ELSE quote_ident(r) END, ', ')
                            FROM unnest(p.roles) AS r))
                  || coalesce(' USING (' || p.qual || ')', '')
                  || coalesce(' WITH CHECK (' || p.with_check || ')', '')
          FROM pg_policies p WHERE p.schemaname = home AND p.tablename = ANY (names);
    INSERT INTO wanted
        SELECT 6, format('GRANT %s ON %I TO %s', a.privilege_type, d.name,
                         CASE a.grantee WHEN 0 THEN 'public' ELSE a.grantee::regrole::text END)
          FROM divided d, aclexplode(d.privileges) AS a;
    INSERT INTO wanted
        SELECT 6, format('GRANT %s (%I) ON %I TO %s', a.privilege_type, c.attname, d.name,
                         CASE a.grantee WHEN 0 THEN 'public' ELSE a.grantee::regrole::text END)
          FROM divided d JOIN pg_attribute c ON c.attrelid = d.oid AND NOT c.attisdropped, aclexplode(c.attacl) AS a;
    INSERT INTO wanted
        SELECT 7, format('ALTER TABLE %I ALTER COLUMN %I SET STATISTICS %s', d.name, c.attname, c.attstattarget)
          FROM divided d JOIN pg_attribute c ON c.attrelid = d.oid
         WHERE c.attnum > 0 AND NOT c.attisdropped AND c.attstattarget >= 0;
    INSERT INTO wanted
        SELECT 8, format('COMMENT ON TABLE %I IS %L', name, comment) FROM divided WHERE comment IS NOT NULL
        UNION ALL
        SELECT 8, format('COMMENT ON CONSTRAINT %I ON %I IS %L', k.conname, d.name, obj_description(k.oid, 'pg_constraint'))
          FROM divided d JOIN pg_constraint k ON k.conrelid = d.oid
         WHERE k.contype IN ('p', 'f') AND obj_description(k.oid, 'pg_constraint') IS NOT NULL
        UNION ALL
        SELECT 8, format('COMMENT ON TRIGGER %I ON %I IS %L', t.tgname, d.name, obj_description(t.oid, 'pg_trigger'))
          FROM divided d JOIN pg_trigger t ON t.tgrelid = d.oid
         WHERE NOT t.tgisinternal AND obj_description(t.oid, 'pg_trigger') IS NOT NULL;

    -- Views are made anew at the end, on the new tables, with their privileges.
    INSERT INTO wanted
        SELECT 9, format('CREATE VIEW %I AS %s', c.relname, pg_get_viewdef(c.oid))
          FROM pg_class c WHERE c.relnamespace = home::regnamespace AND c.relkind = 'v'
        UNION ALL
        SELECT 10, format('ALTER VIEW %I OWNER TO %s', c.relname, c.relowner::regrole)
          FROM pg_class c WHERE c.relnamespace = home::regnamespace AND c.relkind = 'v'
        UNION ALL
        SELECT 10, format('COMMENT ON VIEW %I IS %L', c.relname, obj_description(c.oid))
          FROM pg_class c WHERE c.relnamespace = home::regnamespace AND c.relkind = 'v'
        UNION ALL
        SELECT 11, format('GRANT %s ON %I TO %s', a.privilege_type, c.relname,
                          CASE a.grantee WHEN 0 THEN 'public' ELSE a.grantee::regrole::text END)
          FROM pg_class c, aclexplode(c.relacl) AS a
         WHERE c.relnamespace = home::regnamespace AND c.relkind = 'v';
    FOR one IN SELECT relname AS name FROM pg_class WHERE relnamespace = home::regnamespace AND relkind = 'v' LOOP
        EXECUTE format('DROP VIEW %I', one.name);
    END LOOP;

    -- Out of the way, so that the new tables can have their names and those of their indexes.
    CREATE SCHEMA epicme_undivided;
    FOR one IN SELECT name FROM divided LOOP
        EXECUTE format('ALTER TABLE %I SET SCHEMA epicme_undivided', one.name);
    END LOOP;

    FOR one IN SELECT * FROM divided ORDER BY name LOOP
        EXECUTE format(
            'CREATE TABLE %1$I (LIKE epicme_undivided.%1$I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED
                                INCLUDING STORAGE INCLUDING COMPRESSION INCLUDING STATISTICS INCLUDING COMMENTS)
             PARTITION BY HASH (%2$I)', one.name, one.divisor);
        EXECUTE format('ALTER TABLE %I OWNER TO %s', one.name, one.owner);
        FOR part IN
            SELECT a.attname AS name, format('%s_%s_seq', one.name, a.attname) AS sequence
              FROM pg_attribute a WHERE a.attrelid = one.oid AND a.attidentity <> ''
        LOOP
            EXECUTE format('CREATE SEQUENCE %I OWNED BY %I.%I', part.sequence, one.name, part.name);
            EXECUTE format('ALTER SEQUENCE %I OWNER TO %s', part.sequence, one.owner);
            EXECUTE format('ALTER TABLE %I ALTER COLUMN %I SET DEFAULT nextval(%L)', one.name, part.name, part.sequence);
            -- Who inserts needs it now, which an identity column does not ask for.
            INSERT INTO wanted
                SELECT 6, format('GRANT USAGE ON SEQUENCE %I TO %s', part.sequence,
                                 CASE a.grantee WHEN 0 THEN 'public' ELSE a.grantee::regrole::text END)
                  FROM aclexplode(one.privileges) AS a WHERE a.privilege_type = 'INSERT';
        END LOOP;
        FOR number IN 0 .. parts - 1 LOOP
            EXECUTE format('CREATE %s TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS %s, REMAINDER %s) %s',
                           CASE one.persistence WHEN 'u' THEN 'UNLOGGED' ELSE '' END,
                           one.name || '_' || number, one.name, parts, number,
                           'WITH (' || array_to_string(one.options, ', ') || ')');
            EXECUTE format('ALTER TABLE %I OWNER TO %s', one.name || '_' || number, one.owner);
        END LOOP;
    END LOOP;

    FOR one IN SELECT statement FROM wanted ORDER BY step LOOP
        EXECUTE one.statement;
    END LOOP;
    DROP SCHEMA epicme_undivided CASCADE;
END
$partition$;

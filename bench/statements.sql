-- Fills a migrated, empty database for bench/statements.sh: half of the entries are of one user, as many as the quota
-- admits by default, and the other half of users with fifty each.
--
--   psql -v entries=1000000 -v user=UUID -f bench/statements.sql URL
--
-- Texts are of 20,000 words whose frequency follows Zipf's law. The user also has words and tags that a planner
-- which knows only averages is wrong about. Needs a superuser: neither triggers nor foreign keys work meanwhile.

\set ON_ERROR_STOP on
\timing on
SET client_min_messages = warning;
SET session_replication_role = replica;
SET synchronous_commit = off;
SET work_mem = '256MB';
SET maintenance_work_mem = '512MB';
SELECT setseed(0.5);

-- The indexes of texts are built at the end, which takes a fraction of the time.
CREATE TEMPORARY TABLE gin AS
SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition
  FROM pg_index JOIN pg_class c ON c.oid = indexrelid JOIN pg_am am ON am.oid = c.relam
 WHERE indrelid = 'entries'::regclass AND amname = 'gin';
SELECT format('DROP INDEX %s', name) FROM gin \gexec

-- The word of each rank. The inverse of Zipf's distribution function is about size ^ random.
CREATE TEMPORARY TABLE word AS
SELECT rank, coalesce(
         (ARRAY['walk', 'coffee', 'rain', 'work', 'friend', 'train', 'letter', 'music', 'kitchen', 'river'])[rank],
         (SELECT string_agg(substr('bdfgklmnprstvz', 1 + (rank / 14 ^ p)::int % 14, 1)
                            || substr('aiou', 1 + (rank * 7 / 4 ^ p)::int % 4, 1), '' ORDER BY p)
            FROM generate_series(0, 3) p) || 'k') AS word
  FROM generate_series(1, 20000) rank;

-- The words of a text of ASCII letters as the program writes them: as they stand, and their stems.
CREATE FUNCTION pg_temp.cut(text) RETURNS tsvector IMMUTABLE LANGUAGE sql AS $$
  SELECT array_to_tsvector(array_agg(DISTINCT form))
    FROM unnest(tsvector_to_array(to_tsvector('simple', $1))) AS word,
         LATERAL (VALUES (word), ((ts_lexize('english_stem', word))[1])) AS forms (form)
   WHERE form IS NOT NULL
$$;

-- Pieces of twelve words, of which four make an entry.
CREATE TEMPORARY TABLE piece AS
SELECT p AS id, string_agg(word, ' ' ORDER BY draw) AS words,
       pg_temp.cut(string_agg(word, ' ' ORDER BY draw)) AS lexemes
  FROM (SELECT p, random() AS draw, least(20000, floor(20000 ^ random()))::int AS rank
          FROM generate_series(0, 19999) p, generate_series(1, 12)) drawn
  JOIN word USING (rank) GROUP BY p;

INSERT INTO users (id, issuer, subject) VALUES (:'user', 'https://bench.example', 'big');
INSERT INTO users (id, issuer, subject)
SELECT md5('user ' || u)::uuid, 'https://bench.example', 'small ' || u
  FROM generate_series(0, greatest(:entries / 50 - 1, 0)) u;

-- Even numbers are the user's, odd ones the others'. They are written in the order of their times, as in use.
INSERT INTO entries (id, user_id, title, content, mood, is_private, is_favorite, created_at, updated_at, tag_count,
                     search, search_form)
OVERRIDING SYSTEM VALUE
SELECT n, user_id, 'Entry ' || n || ' ' || split_part(a.words, ' ', 1),
       a.words || '. ' || b.words || '. ' || c.words || '. ' || d.words || '.' || more,
       (ARRAY['happy', 'calm', 'tired', 'curious', 'proud'])[1 + m % 5],
       m % 3 > 0,
       abs(hashint4(m)) % 100 = 7,
       at, at, 0,
       a.lexemes || b.lexemes || c.lexemes || d.lexemes || pg_temp.cut('Entry ' || n || more), 1
  FROM (SELECT n, m, at,
       CASE WHEN is_big THEN :'user'::uuid ELSE md5('user ' || (n / 2) % (:entries / 50))::uuid END AS user_id,
         -- Five entries, and then the tenth part of them.
         CASE WHEN is_big AND m % (:entries / 5) = 77 THEN ' A quokka.' ELSE '' END
         -- A word that others have often.
         || CASE WHEN NOT is_big AND m % 5 = 0 OR is_big AND m % (:entries / 5) = 99 THEN ' In the garden.' ELSE '' END
         -- One in five hundred.
         || CASE WHEN m % 500 = 3 THEN ' A red lantern.' ELSE '' END
         -- A word that was in every second entry for the first fifth of the time, and in none since.
         || CASE WHEN is_big AND m < :entries / 5 AND m % 2 = 0 THEN ' My thesis.' ELSE '' END
         -- Two words that are together in every tenth entry and side by side in one of ten thousand.
         || CASE WHEN m % 10 = 4 THEN CASE WHEN m % 10000 = 4 THEN ' Silver moon.' ELSE ' Moon over silver.' END ELSE '' END AS more
  FROM (SELECT n, n / 2 AS m, n % 2 = 0 AS is_big,
               timestamptz '2016-01-01 00:00:00+00' + n::float8 / (2 * :entries) * interval '3650 days' AS at
          FROM generate_series(0, 2 * :entries - 1) n) numbered) written
  JOIN piece a ON a.id = abs(hashint4(n) % 20000)
  JOIN piece b ON b.id = abs(hashint4(n + 1000000000) % 20000)
  JOIN piece c ON c.id = abs(hashint4(n + 1500000000) % 20000)
  JOIN piece d ON d.id = abs(hashint4(n + 2000000000) % 20000)
 ORDER BY n;
SELECT setval('entries_id_seq', 2 * :entries);

-- Tag 1 is on 30 % of the entries, 2 on the tenth part that is never a favourite, 3 on the oldest 2 %, 4 on ten
-- entries, the others on fewer and fewer.
INSERT INTO tags (id, user_id, name, folded_name)
OVERRIDING SYSTEM VALUE
SELECT t, :'user', 'tag ' || t, 'tag ' || t FROM generate_series(1, 1000) t;
INSERT INTO tags (id, user_id, name, folded_name)
OVERRIDING SYSTEM VALUE
SELECT 1000 + 5 * u + t, md5('user ' || u)::uuid, 'tag ' || t, 'tag ' || t
  FROM generate_series(0, greatest(:entries / 50 - 1, 0)) u, generate_series(1, 5) t;
SELECT setval('tags_id_seq', (SELECT max(id) FROM tags));

INSERT INTO entry_tags (user_id, entry_id, tag_id, entry_created_at, created_at)
SELECT e.user_id, e.id, t.tag, e.created_at, e.created_at
  FROM entries e, LATERAL (
         SELECT 1 AS tag WHERE abs(hashint8(e.id)) % 10 < 3
          UNION ALL SELECT 2 WHERE abs(hashint8(e.id + 1)) % 10 = 0 AND NOT e.is_favorite
          UNION ALL SELECT 3 WHERE e.id < :entries / 25
          UNION ALL SELECT 4 WHERE e.id % (:entries / 5) = 4
          UNION ALL SELECT 5 + (995 ^ (abs(hashint8(e.id + 2)) / 2147483648.0))::int) t
 WHERE e.user_id = :'user'
 ORDER BY e.id;
INSERT INTO entry_tags (user_id, entry_id, tag_id, entry_created_at, created_at)
SELECT e.user_id, e.id, 1001 + 5 * (((e.id - 1) / 2) % (:entries / 50)) + e.id % 5, e.created_at, e.created_at
  FROM entries e WHERE e.user_id <> :'user' AND e.id % 4 = 1;
UPDATE entries e SET tag_count = l.links
  FROM (SELECT user_id, entry_id, count(*) AS links FROM entry_tags GROUP BY user_id, entry_id) l
 WHERE e.user_id = l.user_id AND e.id = l.entry_id AND e.user_id = :'user' AND e.id % 20 = 0;

INSERT INTO usage (user_id, entries, bytes)
SELECT user_id, count(*), sum(octet_length(title) + octet_length(content) + octet_length(mood))
  FROM entries GROUP BY user_id;

-- Three months of activity: of the user in every hour, of each other in one hour a day.
INSERT INTO activity (user_id, client, kind, feature, outcome, hour, writes, count, first_at, last_at)
SELECT :'user', 'client ' || c, 'tool', 'tool ' || f, 'done', hour, f % 2 = 0, 9, hour, hour + f * interval '1 minute'
  FROM generate_series(date_trunc('hour', now()) - interval '89 days', now(), interval '1 hour') hour,
       generate_series(1, 3) c, generate_series(1, 10) f;
INSERT INTO activity (user_id, client, kind, feature, outcome, hour, writes, count, first_at, last_at)
SELECT md5('user ' || u)::uuid, 'client', 'tool', 'tool ' || f, 'done', hour, f % 2 = 0, 9, hour, hour + f * interval '1 minute'
  FROM generate_series(date_trunc('hour', now()) - interval '89 days', now(), interval '1 day') hour,
       generate_series(0, least(greatest(:entries / 50 - 1, 0), 4000)) u, generate_series(1, 5) f;

SELECT definition FROM gin \gexec
VACUUM ANALYZE;
CHECKPOINT;

#!/usr/bin/env python3
"""Prints SQL that gives a thousand users of the benchmark's authorization server fifty entries each.

    seed.py ISSUER | psql DATABASE

What is written is what the benchmark's own seed.sql writes for the other servers: the same titles, texts
and times. Only the users' ids differ, for EpicMe derives them (src/domain/principal.rs).
"""

import hashlib
import sys
import uuid

USERS = 1000

# crates/resource-server/src/principal.rs: USER_NAMESPACE
NAMESPACE = uuid.UUID("6d1f0b9e-84a4-4f0f-9c53-7a3d52c1e86b")


def user_id(issuer, subject):
    """UUIDv5 over both, each behind its length. The name is bytes, which uuid.uuid5 takes from 3.12 on."""
    name = b"".join(len(part).to_bytes(8, "big") + part for part in (issuer.encode(), subject.encode()))
    digest = hashlib.sha1(NAMESPACE.bytes + name).digest()
    return uuid.UUID(bytes=digest[:16], version=5)


# The value that crates/resource-server/src/principal.rs has in its own test.
assert str(user_id("http://127.0.0.1:7788", "1")) == "dbab21b4-6eef-54d6-b257-31a35c29b631"

issuer = sys.argv[1]
print("BEGIN;")
print("CREATE TEMPORARY TABLE numbered (n integer, id uuid) ON COMMIT DROP;")
print("COPY numbered FROM stdin;")
for n in range(USERS):
    print(f"{n}\t{user_id(issuer, f'00000000-0000-4000-8000-{n:012x}')}")
print("\\.")
quoted = "'" + issuer.replace("'", "''") + "'"
print(f"""
INSERT INTO users (id, issuer, subject)
SELECT id, {quoted}, '00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0') FROM numbered;

INSERT INTO entries (user_id, title, content, mood, location, weather, is_private, is_favorite, created_at, updated_at)
SELECT id,
       'Entry u' || n || ' e' || lpad(e::text, 2, '0'),
       repeat('Today I went for a walk and wrote some code. ', 9),
       (ARRAY['happy', 'calm', 'tired', 'curious', 'proud'])[1 + (n + e) % 5],
       (ARRAY['Berlin', 'Salt Lake City', 'Oslo', 'home'])[1 + (n + e) % 4],
       (ARRAY['sunny', 'rain', 'snow', 'cloudy', 'windy'])[1 + (n * 7 + e) % 5],
       e % 2 = 0,
       e % 7 = 0,
       timestamptz '2026-01-01 00:00:00+00' + e * interval '1 day' + n * interval '1 second',
       timestamptz '2026-01-01 00:00:00+00' + e * interval '1 day' + n * interval '1 second'
  FROM numbered CROSS JOIN generate_series(0, 49) e
 ORDER BY n, e;

INSERT INTO tags (user_id, name, folded_name)
SELECT id, 'tag' || t, 'tag' || t FROM numbered CROSS JOIN generate_series(0, 4) t ORDER BY n, t;

INSERT INTO entry_tags (user_id, entry_id, tag_id, entry_created_at)
SELECT entry.user_id, entry.id, tag.id, entry.created_at
  FROM (SELECT user_id, id, created_at,
               row_number() OVER (PARTITION BY user_id ORDER BY created_at) - 1 AS e FROM entries) entry
  JOIN (SELECT user_id, id,
               row_number() OVER (PARTITION BY user_id ORDER BY id) - 1 AS t FROM tags) tag
    ON tag.user_id = entry.user_id AND tag.t IN (entry.e % 5, (entry.e + 1) % 5);
COMMIT;""")

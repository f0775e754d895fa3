-- What lets one index have both the user and the words. It comes with PostgreSQL (in Debian's postgresql itself) and is
-- trusted, so whoever may create in the database may create it: its owner, and who was granted that. Where it is there
-- already, nobody needs a right.
CREATE EXTENSION IF NOT EXISTS btree_gin;

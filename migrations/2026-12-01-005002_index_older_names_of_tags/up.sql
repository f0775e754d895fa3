-- Which tags have an older key. Empty as soon as they have been brought up to date.
CREATE INDEX CONCURRENTLY IF NOT EXISTS tags_of_older_names ON tags (user_id, id) WHERE name_version = 0;

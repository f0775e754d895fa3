-- The order of the list: the hour and the number of a row never change.
CREATE INDEX CONCURRENTLY IF NOT EXISTS activity_of_user ON activity (user_id, hour DESC, id DESC);

-- Hours become days after a week. A row that is changed every 30 seconds for an hour stays on its page if that has room
-- and no index has what changes; so nothing here has an index on last_at any more.
ALTER TABLE activity ADD COLUMN by_day boolean NOT NULL DEFAULT false;
ALTER TABLE activity SET (fillfactor = 60);

COMMENT ON TABLE activity IS 'Which client used what of a user''s journal, counted by the hour, after a week by the day, and kept for 90 days. No arguments, no content.';
COMMENT ON COLUMN activity.hour IS 'The hour in which the calls ended, or the beginning of the day (UTC) if they are counted by the day.';
COMMENT ON COLUMN activity.by_day IS 'Whether the calls of the whole day are counted together.';

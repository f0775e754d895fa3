COMMENT ON TABLE activity IS 'Which client used what of a user''s journal, counted by the hour and kept for 90 days. No arguments, no content.';
COMMENT ON COLUMN activity.hour IS 'The hour in which the calls ended.';
ALTER TABLE activity RESET (fillfactor);
ALTER TABLE activity DROP COLUMN by_day;

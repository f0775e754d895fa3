-- Empty at first, so that no table is read or locked: a user's row is counted with that user's next write.
-- Half of each page is left free, so that a change of a count stays on its page and touches no index.
CREATE TABLE usage (
    user_id uuid   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    entries bigint NOT NULL,
    bytes   bigint NOT NULL,
    CONSTRAINT usage_pkey PRIMARY KEY (user_id),
    CONSTRAINT usage_counts CHECK (entries >= 0 AND bytes >= 0)
) WITH (fillfactor = 50);

COMMENT ON TABLE usage IS 'How much of the database each user has taken, for the quotas. Changed by the statements that write entries.';
COMMENT ON COLUMN usage.user_id IS 'The user.';
COMMENT ON COLUMN usage.entries IS 'How many entries there are.';
COMMENT ON COLUMN usage.bytes IS 'How long their texts are, in bytes of UTF-8: title, content, mood, location and weather.';

-- A tag that very many entries have comes off them in parts, each a transaction of its own. What is written down here
-- is brought to its end even if the process ends before.
CREATE TABLE tag_deletions (
    user_id      uuid        NOT NULL,
    tag_id       bigint      NOT NULL,
    continued_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT tag_deletions_pkey PRIMARY KEY (user_id, tag_id),
    CONSTRAINT tag_deletions_tag_fkey FOREIGN KEY (user_id, tag_id)
        REFERENCES tags (user_id, id) ON DELETE CASCADE
);

COMMENT ON TABLE tag_deletions IS 'Tags that are being deleted in parts.';
COMMENT ON COLUMN tag_deletions.user_id IS 'The owner.';
COMMENT ON COLUMN tag_deletions.tag_id IS 'The tag. A row here goes with it.';
COMMENT ON COLUMN tag_deletions.continued_at IS 'When the last part was begun. Who finds that a minute has passed goes on.';

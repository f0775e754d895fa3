CREATE TABLE entry_tags (
    user_id          uuid        NOT NULL,
    entry_id         bigint      NOT NULL,
    tag_id           bigint      NOT NULL,
    entry_created_at timestamptz NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT entry_tags_pkey PRIMARY KEY (user_id, entry_id, tag_id),
    -- Both ends carry the user, so the database itself refuses a link across users.
    CONSTRAINT entry_tags_entry_fkey FOREIGN KEY (user_id, entry_created_at, entry_id)
        REFERENCES entries (user_id, created_at, id) ON DELETE CASCADE,
    CONSTRAINT entry_tags_tag_fkey FOREIGN KEY (user_id, tag_id)
        REFERENCES tags (user_id, id) ON DELETE CASCADE
);

-- The entries of one tag in the order of every list, so that a page of them costs a page,
-- however many entries the tag or the user has.
CREATE INDEX entry_tags_by_tag ON entry_tags (user_id, tag_id, entry_created_at, entry_id);

COMMENT ON TABLE entry_tags IS 'Which entry has which tag.';
COMMENT ON COLUMN entry_tags.user_id IS 'The owner of both ends.';
COMMENT ON COLUMN entry_tags.entry_id IS 'The entry.';
COMMENT ON COLUMN entry_tags.tag_id IS 'The tag.';
COMMENT ON COLUMN entry_tags.entry_created_at IS 'When the entry was written, repeated here to list a tag''s entries in order; the foreign key keeps it true.';
COMMENT ON COLUMN entry_tags.created_at IS 'When the tag was put on the entry.';

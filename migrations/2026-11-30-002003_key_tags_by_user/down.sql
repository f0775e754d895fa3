-- The foreign keys depend on whichever unique index of these columns is older, which is the primary key by now.
ALTER TABLE entry_tags DROP CONSTRAINT entry_tags_tag_fkey;
ALTER TABLE tag_deletions DROP CONSTRAINT tag_deletions_tag_fkey;
ALTER TABLE tags
    DROP CONSTRAINT tags_pkey,
    ADD CONSTRAINT tags_pkey PRIMARY KEY (id);
ALTER TABLE entry_tags ADD CONSTRAINT entry_tags_tag_fkey FOREIGN KEY (user_id, tag_id)
    REFERENCES tags (user_id, id) ON DELETE CASCADE;
ALTER TABLE tag_deletions ADD CONSTRAINT tag_deletions_tag_fkey FOREIGN KEY (user_id, tag_id)
    REFERENCES tags (user_id, id) ON DELETE CASCADE;

ALTER TABLE entry_tags RENAME CONSTRAINT entry_tags_tag_fkey TO entry_tags_tag_key_fkey;
ALTER TABLE entry_tags ADD CONSTRAINT entry_tags_tag_fkey FOREIGN KEY (user_id, tag_id)
    REFERENCES tags (user_id, id) ON DELETE CASCADE;

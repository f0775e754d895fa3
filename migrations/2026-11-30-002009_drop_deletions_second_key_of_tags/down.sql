ALTER TABLE tag_deletions RENAME CONSTRAINT tag_deletions_tag_fkey TO tag_deletions_tag_key_fkey;
ALTER TABLE tag_deletions ADD CONSTRAINT tag_deletions_tag_fkey FOREIGN KEY (user_id, tag_id)
    REFERENCES tags (user_id, id) ON DELETE CASCADE;

-- As for the links.
ALTER TABLE tag_deletions
    ADD CONSTRAINT tag_deletions_tag_key_fkey FOREIGN KEY (user_id, tag_id)
        REFERENCES tags ON DELETE CASCADE NOT VALID;

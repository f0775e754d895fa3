-- What depends on tags_user_id_id_key, once more on the primary key, so that the former can go. A foreign key that
-- names no columns depends on the primary key; one that names them, on the older of two indexes that fit.
-- NOT VALID: new rows are checked, those that are there are not read while the tables are locked.
ALTER TABLE entry_tags
    ADD CONSTRAINT entry_tags_tag_key_fkey FOREIGN KEY (user_id, tag_id)
        REFERENCES tags ON DELETE CASCADE NOT VALID;

ALTER TABLE entry_tags DROP CONSTRAINT entry_tags_tag_key_fkey;

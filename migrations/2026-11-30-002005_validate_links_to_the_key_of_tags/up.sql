-- Reads the rows beside everybody who reads and writes.
ALTER TABLE entry_tags VALIDATE CONSTRAINT entry_tags_tag_key_fkey;

ALTER TABLE entry_tags DROP CONSTRAINT entry_tags_tag_fkey;
ALTER TABLE entry_tags RENAME CONSTRAINT entry_tags_tag_key_fkey TO entry_tags_tag_fkey;

COMMENT ON CONSTRAINT entry_tags_tag_fkey ON entry_tags IS 'Both ends carry the user, so the database itself refuses a link across users.';

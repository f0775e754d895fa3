ALTER TABLE tag_deletions DROP CONSTRAINT tag_deletions_tag_fkey;
ALTER TABLE tag_deletions RENAME CONSTRAINT tag_deletions_tag_key_fkey TO tag_deletions_tag_fkey;

COMMENT ON CONSTRAINT tag_deletions_tag_fkey ON tag_deletions IS 'What is left to do for a tag goes with it.';

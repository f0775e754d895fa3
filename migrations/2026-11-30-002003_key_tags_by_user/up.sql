ALTER TABLE tags
    DROP CONSTRAINT tags_pkey,
    ADD CONSTRAINT tags_pkey PRIMARY KEY USING INDEX tags_by_user;

COMMENT ON CONSTRAINT tags_pkey ON tags IS 'A user''s tag. It begins with the user, so that the table can be divided by users.';

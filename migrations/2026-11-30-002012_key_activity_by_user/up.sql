ALTER TABLE activity
    DROP CONSTRAINT activity_pkey,
    ADD CONSTRAINT activity_pkey PRIMARY KEY USING INDEX activity_by_user;

COMMENT ON CONSTRAINT activity_pkey ON activity IS 'A count of a user''s. It begins with the user, so that the table can be divided by users.';

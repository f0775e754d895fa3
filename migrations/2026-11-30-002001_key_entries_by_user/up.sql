-- The index takes the place of the one on id alone: a write costs as many index entries as before. Ids stay unique
-- among all users, for they come from one sequence; that is no longer what a constraint says.
ALTER TABLE entries
    DROP CONSTRAINT entries_pkey,
    ADD CONSTRAINT entries_pkey PRIMARY KEY USING INDEX entries_by_user;

COMMENT ON CONSTRAINT entries_pkey ON entries IS 'A user''s entry. It begins with the user, so that the table can be divided by users.';

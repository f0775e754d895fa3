CREATE TABLE tags (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id     uuid        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name        text        NOT NULL,
    folded_name text COLLATE "C" NOT NULL,
    description text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT tags_user_id_id_key UNIQUE (user_id, id),
    CONSTRAINT tags_user_id_folded_name_key UNIQUE (user_id, folded_name),
    CONSTRAINT tags_name_length CHECK (char_length(name) BETWEEN 1 AND 60),
    CONSTRAINT tags_folded_name_length CHECK (octet_length(folded_name) BETWEEN 1 AND 1024),
    CONSTRAINT tags_description_length CHECK (char_length(description) <= 500)
);

COMMENT ON TABLE tags IS 'Tags, each user''s own.';
COMMENT ON COLUMN tags.id IS 'A number, short for a model to read. Not a secret: every query also names the user.';
COMMENT ON COLUMN tags.user_id IS 'The owner.';
COMMENT ON COLUMN tags.name IS '1 to 60 characters, as the owner spells it.';
COMMENT ON COLUMN tags.folded_name IS 'The name without regard to case, for uniqueness and order. Folded by the application, for lower() depends on the locale that the database was made with.';
COMMENT ON COLUMN tags.description IS 'Up to 500 characters.';
COMMENT ON COLUMN tags.created_at IS 'When it was made.';
COMMENT ON COLUMN tags.updated_at IS 'When it was last changed.';

CREATE TABLE entries (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id     uuid        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    title       text        NOT NULL,
    content     text        NOT NULL,
    mood        text,
    location    text,
    weather     text,
    is_private  boolean     NOT NULL DEFAULT true,
    is_favorite boolean     NOT NULL DEFAULT false,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    -- The configuration is named because a generated column must not depend on a setting.
    search      tsvector    NOT NULL GENERATED ALWAYS AS (
        setweight(to_tsvector('english', title), 'A') || setweight(to_tsvector('english', content), 'B')
    ) STORED,
    -- One index, three duties: the order of every list, the other end of entry_tags' foreign key,
    -- and the place where the database itself knows whose an entry is.
    CONSTRAINT entries_user_id_created_at_id_key UNIQUE (user_id, created_at, id),
    CONSTRAINT entries_title_length CHECK (char_length(title) BETWEEN 1 AND 200),
    CONSTRAINT entries_content_length CHECK (char_length(content) BETWEEN 1 AND 100000),
    CONSTRAINT entries_mood_length CHECK (char_length(mood) <= 100),
    CONSTRAINT entries_location_length CHECK (char_length(location) <= 100),
    CONSTRAINT entries_weather_length CHECK (char_length(weather) <= 100)
);

CREATE INDEX entries_favorites ON entries (user_id, created_at, id) WHERE is_favorite;
CREATE INDEX entries_search ON entries USING gin (search);

COMMENT ON TABLE entries IS 'Journal entries.';
COMMENT ON COLUMN entries.id IS 'A number, short for a model to read. Not a secret: every query also names the user.';
COMMENT ON COLUMN entries.user_id IS 'The owner.';
COMMENT ON COLUMN entries.title IS '1 to 200 characters.';
COMMENT ON COLUMN entries.content IS '1 to 100,000 characters.';
COMMENT ON COLUMN entries.mood IS 'Up to 100 characters.';
COMMENT ON COLUMN entries.location IS 'Up to 100 characters.';
COMMENT ON COLUMN entries.weather IS 'Up to 100 characters.';
COMMENT ON COLUMN entries.is_private IS 'A label of the owner''s; it decides nothing about access.';
COMMENT ON COLUMN entries.is_favorite IS 'A label of the owner''s.';
COMMENT ON COLUMN entries.created_at IS 'When it was written. Never changes: entry_tags holds it by its foreign key.';
COMMENT ON COLUMN entries.updated_at IS 'When it was last changed.';
COMMENT ON COLUMN entries.search IS 'What full-text search sees: the title (weight A) and the content (weight B).';

-- Unlogged: an export that is lost with a crash is made again, and its text is not written twice.
CREATE UNLOGGED TABLE exports (
    user_id    uuid        NOT NULL,
    id         bigint      NOT NULL,
    media_type text        NOT NULL,
    parts      integer,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL DEFAULT now() + interval '1 hour',
    CONSTRAINT exports_pkey PRIMARY KEY (user_id, id),
    CONSTRAINT exports_id CHECK (id >= 1),
    CONSTRAINT exports_media_type CHECK (media_type IN ('application/json', 'text/markdown')),
    CONSTRAINT exports_parts CHECK (parts >= 1)
);

CREATE INDEX exports_by_expiry ON exports (expires_at);

CREATE UNLOGGED TABLE export_parts (
    user_id   uuid    NOT NULL,
    export_id bigint  NOT NULL,
    number    integer NOT NULL,
    content   text    NOT NULL,
    CONSTRAINT export_parts_pkey PRIMARY KEY (user_id, export_id, number),
    CONSTRAINT export_parts_number CHECK (number >= 0),
    CONSTRAINT export_parts_export_fkey FOREIGN KEY (user_id, export_id)
        REFERENCES exports (user_id, id) ON DELETE CASCADE
);

COMMENT ON TABLE exports IS 'Journals as documents, each for an hour. A user has two at most.';
COMMENT ON COLUMN exports.user_id IS 'The owner. No foreign key: who has written nothing can export that.';
COMMENT ON COLUMN exports.id IS 'Random, for it is a name that leaves the server.';
COMMENT ON COLUMN exports.media_type IS 'What the document is written in.';
COMMENT ON COLUMN exports.parts IS 'Of how many parts it consists; null until it is whole.';
COMMENT ON COLUMN exports.created_at IS 'When it was begun. Entries written later are not in it.';
COMMENT ON COLUMN exports.expires_at IS 'When it is no longer given out.';
COMMENT ON TABLE export_parts IS 'The text of an export, in parts short enough to be held in memory.';
COMMENT ON COLUMN export_parts.user_id IS 'The owner.';
COMMENT ON COLUMN export_parts.export_id IS 'The export.';
COMMENT ON COLUMN export_parts.number IS 'Its place, from 0.';
COMMENT ON COLUMN export_parts.content IS 'Its text.';

CREATE TABLE activity (
    id       bigint      GENERATED ALWAYS AS IDENTITY,
    user_id  uuid        NOT NULL,
    client   text        NOT NULL,
    kind     text        NOT NULL,
    feature  text        NOT NULL,
    outcome  text        NOT NULL,
    hour     timestamptz NOT NULL,
    writes   boolean     NOT NULL,
    count    bigint      NOT NULL,
    first_at timestamptz NOT NULL,
    last_at  timestamptz NOT NULL,
    CONSTRAINT activity_pkey PRIMARY KEY (id),
    CONSTRAINT activity_key UNIQUE (user_id, client, kind, feature, outcome, hour),
    CONSTRAINT activity_client_length CHECK (octet_length(client) <= 1024),
    CONSTRAINT activity_kind CHECK (kind IN ('tool', 'prompt', 'resource', 'completion', 'list')),
    CONSTRAINT activity_outcome CHECK (outcome IN ('done', 'asked', 'declined', 'failed', 'refused', 'cancelled')),
    CONSTRAINT activity_count CHECK (count >= 1),
    CONSTRAINT activity_times CHECK (first_at <= last_at)
);

CREATE INDEX activity_newest_first ON activity (user_id, last_at DESC, id DESC);
CREATE INDEX activity_by_hour ON activity (hour);

COMMENT ON TABLE activity IS 'Which client used what of a user''s journal, counted by the hour and kept for 90 days. No arguments, no content.';
COMMENT ON COLUMN activity.id IS 'Breaks ties between rows of the same last_at.';
COMMENT ON COLUMN activity.user_id IS 'Whose journal. No foreign key: who has written nothing has no row in users, but is read for all the same.';
COMMENT ON COLUMN activity.client IS 'The OAuth client''s id; empty where the authorization server names none, one character … for those beyond 200 within an hour.';
COMMENT ON COLUMN activity.kind IS 'What the feature is: tool, prompt, resource, completion or list.';
COMMENT ON COLUMN activity.feature IS 'The declared name of the feature, or of its template: never what a client wrote.';
COMMENT ON COLUMN activity.outcome IS 'What the calls came to.';
COMMENT ON COLUMN activity.hour IS 'The hour in which the calls ended.';
COMMENT ON COLUMN activity.writes IS 'Whether the feature writes.';
COMMENT ON COLUMN activity.count IS 'How many calls.';
COMMENT ON COLUMN activity.first_at IS 'When the first of them ended.';
COMMENT ON COLUMN activity.last_at IS 'When the last of them ended.';

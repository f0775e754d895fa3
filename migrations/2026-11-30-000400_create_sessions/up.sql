CREATE TABLE sessions (
    user_id       uuid        NOT NULL,
    name          bytea       NOT NULL,
    ended         boolean     NOT NULL DEFAULT false,
    log_level     text,
    subscriptions text[]      NOT NULL DEFAULT '{}',
    expires_at    timestamptz NOT NULL,
    CONSTRAINT sessions_pkey PRIMARY KEY (user_id, name),
    CONSTRAINT sessions_name_length CHECK (octet_length(name) = 12),
    CONSTRAINT sessions_log_level_length CHECK (octet_length(log_level) <= 20),
    CONSTRAINT sessions_subscriptions CHECK (cardinality(subscriptions) <= 100)
);

CREATE INDEX sessions_of_user_by_expires_at ON sessions (user_id, expires_at);
CREATE INDEX sessions_by_expires_at ON sessions (expires_at);

COMMENT ON TABLE sessions IS 'What sessions of the legacy revisions of MCP have set, and which their clients have ended, for every process that continues one. A session that does neither has no row.';
COMMENT ON COLUMN sessions.user_id IS 'Whose session it is. No foreign key: users get a row with their first write.';
COMMENT ON COLUMN sessions.name IS 'A part of the session''s id, from which the rest cannot be derived.';
COMMENT ON COLUMN sessions.ended IS 'Whether its client has ended it, so that no process continues it.';
COMMENT ON COLUMN sessions.log_level IS 'The log level that the client has set; NULL: none.';
COMMENT ON COLUMN sessions.subscriptions IS 'The URIs of the resources that it is subscribed to, as the client wrote them.';
COMMENT ON COLUMN sessions.expires_at IS 'When its lifetime is over, by the clock of the process that wrote the row.';

CREATE TABLE session_answers (
    user_id    uuid        NOT NULL,
    session    bytea       NOT NULL,
    question   text        NOT NULL,
    answer     text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT session_answers_pkey PRIMARY KEY (user_id, session, question),
    CONSTRAINT session_answers_session_length CHECK (octet_length(session) = 12),
    CONSTRAINT session_answers_question_length CHECK (octet_length(question) <= 64)
);

CREATE INDEX session_answers_by_created_at ON session_answers (created_at);

COMMENT ON TABLE session_answers IS 'Answers of clients that reached another process than the one that asked, and are too long to be told by NOTIFY. That process takes them at once.';
COMMENT ON COLUMN session_answers.user_id IS 'Whose session it is. No foreign key: users get a row with their first write.';
COMMENT ON COLUMN session_answers.session IS 'The name of the session, as in the table of sessions. No foreign key: most sessions have no row there.';
COMMENT ON COLUMN session_answers.question IS 'The id of the question, which the process that asked drew.';
COMMENT ON COLUMN session_answers.answer IS 'The answer, as JSON.';
COMMENT ON COLUMN session_answers.created_at IS 'When it came, by the database''s clock. After five minutes nobody waits for it.';

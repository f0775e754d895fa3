CREATE TABLE users (
    id         uuid        NOT NULL PRIMARY KEY,
    issuer     text        NOT NULL,
    subject    text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT users_issuer_subject_key UNIQUE (issuer, subject),
    -- Together they stay well below the 2,704 bytes that an index row can hold.
    CONSTRAINT users_issuer_length CHECK (octet_length(issuer) BETWEEN 1 AND 1024),
    CONSTRAINT users_subject_length CHECK (octet_length(subject) BETWEEN 1 AND 1024)
);

COMMENT ON TABLE users IS 'Whoever has written something. A user is a subject at an issuer; no profile is kept.';
COMMENT ON COLUMN users.id IS 'Derived by the application from issuer and subject (UUIDv5), so that reading needs no lookup.';
COMMENT ON COLUMN users.issuer IS 'The authorization server that vouches for the subject.';
COMMENT ON COLUMN users.subject IS 'The subject, unique at its issuer only.';
COMMENT ON COLUMN users.created_at IS 'When the user first wrote something.';

CREATE TABLE revocations (
    id         bigint      GENERATED ALWAYS AS IDENTITY,
    kind       text        NOT NULL,
    issuer     text        NOT NULL,
    target     text        NOT NULL,
    ordered_by text        NOT NULL,
    revoked_at timestamptz NOT NULL,
    until      timestamptz,
    CONSTRAINT revocations_pkey PRIMARY KEY (id),
    CONSTRAINT revocations_of_one_target UNIQUE (kind, issuer, target, ordered_by),
    CONSTRAINT revocations_kind CHECK (kind IN ('token', 'user', 'client', 'everybody')),
    CONSTRAINT revocations_ordered_by CHECK (ordered_by IN ('operator', 'issuer', 'revoker')),
    CONSTRAINT revocations_issuer CHECK ((issuer <> '') = (kind IN ('user', 'client'))),
    CONSTRAINT revocations_target CHECK (
        CASE kind
        WHEN 'token' THEN target ~ '^[0-9a-f]{64}$'
        WHEN 'everybody' THEN target = ''
        ELSE octet_length(target) BETWEEN 1 AND 1024
        END)
);

-- What expires: tokens at their end, and what operators did not order after a while.
CREATE INDEX revocations_of_tokens_by_end ON revocations (until) WHERE kind = 'token';
CREATE INDEX revocations_of_others_by_age ON revocations (revoked_at) WHERE kind <> 'token' AND ordered_by <> 'operator';

COMMENT ON TABLE revocations IS 'Revocations of tokens, users, clients and everybody, which every process reads at its start. An order that repeats another replaces it.';
COMMENT ON COLUMN revocations.id IS 'The highest is the latest. A row that is replaced gets a new one, so that a process can ask for those that it has not seen.';
COMMENT ON COLUMN revocations.kind IS 'What is revoked: token, user, client or everybody.';
COMMENT ON COLUMN revocations.issuer IS 'The issuer of the user or client; otherwise empty.';
COMMENT ON COLUMN revocations.target IS 'The subject, the client id, or the SHA-256 of the token in hexadecimal; empty for everybody.';
COMMENT ON COLUMN revocations.ordered_by IS 'Who ordered it: operator, issuer (a logout token), or revoker (who reports revoked tokens). None of them replaces a row of another.';
COMMENT ON COLUMN revocations.revoked_at IS 'When it was ordered, by the clock of the process. Tokens that were issued until then are refused.';
COMMENT ON COLUMN revocations.until IS 'Until when every token of the user, client or everybody is refused; NULL: only those that were issued before. Of a token, when it ends; NULL: not known.';

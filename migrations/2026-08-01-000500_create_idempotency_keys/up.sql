CREATE TABLE idempotency_keys (
    user_id          uuid        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    operation        text        NOT NULL,
    key              text        NOT NULL,
    arguments        bytea       NOT NULL,
    result_id        bigint      NOT NULL,
    result_tag_ids   bigint[]    NOT NULL DEFAULT '{}',
    result_tag_names text[]      NOT NULL DEFAULT '{}',
    created_at       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (user_id, operation, key),
    CONSTRAINT idempotency_keys_operation CHECK (operation IN ('create_entry', 'create_tag')),
    CONSTRAINT idempotency_keys_key_length CHECK (char_length(key) BETWEEN 1 AND 200),
    CONSTRAINT idempotency_keys_arguments_length CHECK (octet_length(arguments) = 32),
    CONSTRAINT idempotency_keys_result_tags CHECK (cardinality(result_tag_ids) = cardinality(result_tag_names))
);

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (user_id, created_at);

COMMENT ON TABLE idempotency_keys IS 'Writes that were given a key, for 24 hours. A repeat brings the same arguments along, so only what the database added to them is kept.';
COMMENT ON COLUMN idempotency_keys.user_id IS 'Whose key it is; another user''s same key is another key.';
COMMENT ON COLUMN idempotency_keys.operation IS 'create_entry or create_tag.';
COMMENT ON COLUMN idempotency_keys.key IS 'The key as the client chose it, 1 to 200 characters.';
COMMENT ON COLUMN idempotency_keys.arguments IS 'SHA-256 over the arguments, so that a key that comes back with others is noticed.';
COMMENT ON COLUMN idempotency_keys.result_id IS 'The id of the entry or tag that was made. No foreign key: the answer stays the same when the row is deleted.';
COMMENT ON COLUMN idempotency_keys.result_tag_ids IS 'The new entry''s tags, in the order of the answer.';
COMMENT ON COLUMN idempotency_keys.result_tag_names IS 'Their names as they were then.';
COMMENT ON COLUMN idempotency_keys.created_at IS 'When the write was done, which is also the created_at of what it made.';

CREATE TABLE used_request_states (
    user_id uuid        NOT NULL,
    nonce   bytea       NOT NULL,
    used_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT used_request_states_pkey PRIMARY KEY (user_id, nonce),
    CONSTRAINT used_request_states_nonce_length CHECK (octet_length(nonce) = 12)
);

CREATE INDEX used_request_states_by_used_at ON used_request_states (used_at);

COMMENT ON TABLE used_request_states IS 'The states of MCP''s multi round-trip requests that were used, so that none counts twice, for 30 minutes: three times as long as a state is good.';
COMMENT ON COLUMN used_request_states.user_id IS 'Whom the state was given to. No foreign key: users get a row with their first write, and a row here is gone before long.';
COMMENT ON COLUMN used_request_states.nonce IS 'The nonce that the state was sealed with, which no other has.';
COMMENT ON COLUMN used_request_states.used_at IS 'When it was used, by the database''s clock, which is one for all processes.';

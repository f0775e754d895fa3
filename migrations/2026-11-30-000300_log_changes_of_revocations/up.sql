-- The default is the same for all rows that there are, so that none is written.
ALTER TABLE revocations
    ADD COLUMN lifted_at timestamptz,
    ADD COLUMN changed_in bigint NOT NULL DEFAULT (pg_current_xact_id()::text::bigint);

COMMENT ON COLUMN revocations.lifted_at IS 'When it was lifted; NULL while it is in effect. The row stays for a while, so that the other processes notice.';
COMMENT ON COLUMN revocations.changed_in IS 'The transaction that wrote the row. Ids are drawn before a transaction commits, so a lower one may become visible after a higher one; a process reads again what transactions wrote that had not ended when it read.';

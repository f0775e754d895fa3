DROP INDEX idempotency_keys_by_created_at;
DROP TABLE used_request_states;

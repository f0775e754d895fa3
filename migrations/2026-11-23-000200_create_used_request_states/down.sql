DROP TABLE used_request_states;

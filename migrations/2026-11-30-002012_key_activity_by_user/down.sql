ALTER TABLE activity
    DROP CONSTRAINT activity_pkey,
    ADD CONSTRAINT activity_pkey PRIMARY KEY (id);

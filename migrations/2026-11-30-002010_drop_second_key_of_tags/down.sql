ALTER TABLE tags ADD CONSTRAINT tags_user_id_id_key UNIQUE (user_id, id);

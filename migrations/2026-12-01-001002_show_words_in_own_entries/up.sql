-- A search has to know what cut a text into words, and how long the text is, before it reads any.
CREATE OR REPLACE VIEW own_entries AS
    SELECT id, user_id, title, is_favorite, created_at, tag_count, search, search_form, octet_length(content) AS content_bytes
      FROM entries
     WHERE user_id = nullif(current_setting('epicme.user_id', true), '')::uuid;

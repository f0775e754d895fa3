DROP PROCEDURE run_at_a_free_moment(text);

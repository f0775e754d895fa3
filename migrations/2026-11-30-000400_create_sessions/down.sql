DROP TABLE session_answers;
DROP TABLE sessions;

-- Who may do what in the database that psql is connected to: `epicme_owner` owns the schema and migrates it, `epicme`
-- serves and may change rows alone, each user's by itself, and as `epicme_housekeeping` deletes what has expired of
-- all. Passwords come from the environment of psql.
\set ON_ERROR_STOP on
\getenv owner_password OWNER_PASSWORD
\getenv serving_password SERVING_PASSWORD

-- A statement that fails is written to the server's log, and here that would be a password.
SET log_min_error_statement = panic;
SET log_statement = none;
SET client_min_messages = warning;

SELECT 'CREATE ROLE ' || role
  FROM unnest(ARRAY['epicme_owner', 'epicme', 'epicme_housekeeping']) AS role
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) \gexec

ALTER ROLE epicme_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'owner_password';
ALTER ROLE epicme       LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOINHERIT NOBYPASSRLS
  PASSWORD :'serving_password';
-- What it may do, `epicme migrate` grants when it turns row-level security on. `epicme` becomes it by SET ROLE alone.
ALTER ROLE epicme_housekeeping NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
GRANT epicme_housekeeping TO epicme;

-- Whoever owns the database owns its schema `public` (pg_database_owner, since PostgreSQL 15).
ALTER DATABASE :"DBNAME" OWNER TO epicme_owner;
REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO epicme;

-- For the tables that there are, and for those that migrations will make. Numbers of new rows are drawn
-- from sequences.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO epicme;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO epicme;
ALTER DEFAULT PRIVILEGES FOR ROLE epicme_owner IN SCHEMA public
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO epicme;
ALTER DEFAULT PRIVILEGES FOR ROLE epicme_owner IN SCHEMA public
  GRANT USAGE ON SEQUENCES TO epicme;

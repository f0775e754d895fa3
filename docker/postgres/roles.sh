#!/bin/sh
# Makes the two roles of the database, or gives them the passwords that they should have. Run as often as
# one likes; `docker-compose up` does so each time.
set -eu

password_of() { sed -n 's|^postgresql://[^:]*:\([^@]*\)@.*|\1|p' "$1"; }

PGPASSWORD=$(cat /run/secrets/postgres/superuser-password)
OWNER_PASSWORD=$(password_of /run/secrets/migrate/database-url)
SERVING_PASSWORD=$(password_of /run/secrets/epicme/database-url)
export PGPASSWORD OWNER_PASSWORD SERVING_PASSWORD

exec psql --no-psqlrc --quiet --host postgres --username postgres --dbname epicme --file /docker/roles.sql

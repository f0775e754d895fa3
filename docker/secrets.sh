#!/bin/sh
# Draws the secrets of docker-compose.yml, each once, into a volume for each service that needs some: so
# none is in the repository or in the environment, and no service sees another's.
set -eu
umask 077

# Who reads them: the programs' images run as this user.
reader=10001

random_hex() { head -c 24 /dev/urandom | od -A n -t x1 | tr -d ' \n'; }
is_there() { [ -s "/secrets/$1" ]; }

# keep FILE OWNER MODE: what is on standard input. It is there as a whole or not at all.
keep() {
  cat >"/secrets/$1.new"
  chmod "$3" "/secrets/$1.new"
  chown "$2" "/secrets/$1.new"
  mv "/secrets/$1.new" "/secrets/$1"
  echo "drew $1"
}

# PostgreSQL's own superuser: `postgres` begins with it as root, `roles` connects with it as the reader.
is_there postgres/superuser-password || random_hex | keep postgres/superuser-password "0:$reader" 0440

# The owner of the schema migrates; the role that serves changes rows and no more.
is_there migrate/database-url ||
  echo "postgresql://epicme_owner:$(random_hex)@postgres/epicme" | keep migrate/database-url "$reader:$reader" 0400
is_there epicme/database-url ||
  echo "postgresql://epicme:$(random_hex)@postgres/epicme" | keep epicme/database-url "$reader:$reader" 0400

# What epicme and the authorization server share.
if ! is_there epicme/introspection-secret || ! is_there mock-auth/introspection-secret; then
  secret=$(random_hex)
  echo "$secret" | keep epicme/introspection-secret "$reader:$reader" 0400
  echo "$secret" | keep mock-auth/introspection-secret "$reader:$reader" 0400
fi

# The same for every epicme behind one address.
is_there epicme/request-state-key || head -c 32 /dev/urandom | base64 | keep epicme/request-state-key "$reader:$reader" 0400
is_there epicme/revocation-secret || random_hex | keep epicme/revocation-secret "$reader:$reader" 0400

echo "the secrets are there"

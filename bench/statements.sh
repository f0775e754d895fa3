#!/usr/bin/env bash
# Makes the table of what every statement costs on a large database (docs/PERFORMANCE_LOG.md).
#
#   bench/statements.sh [--entries N] [--rounds N] [--all] [FOLDER]
#
# It starts a PostgreSQL of its own in FOLDER, fills it with twice N entries (1,000,000), half of them of one user
# (bench/statements.sql), has the functions of src/storage called N times each (100) by a program that makes easy and
# hard calls (bench/statements.rs), and prints a table of the calls: milliseconds at the caller, and of the statement
# that read most, the blocks and the main node of its plan, which PostgreSQL's own auto_explain has logged. Without
# --all each kind of call has one line, that of its dearest binds.
#
# What is in FOLDER is used again, so that another program can be measured on the same rows (STATEMENTS names it).
# Without FOLDER everything is deleted at the end. Filling takes ten minutes and 10 GB. It needs PostgreSQL with its
# contrib modules (Debian: postgresql), Python 3, and what `cargo build` needs.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

entries=1000000 rounds=100 all='' folder=''
while [[ $# -gt 0 ]]; do
  case $1 in
    --entries) entries=$2; shift ;;
    --rounds) rounds=$2; shift ;;
    --all) all=--all ;;
    -*) sed -n '2,17p' bench/statements.sh | sed 's/^# \{0,1\}//'; [[ $1 == --help || $1 == -h ]] || exit 64; exit ;;
    *) folder=$1 ;;
  esac
  shift
done

bin=$(pg_config --bindir)
scratch=''
if [[ -z $folder ]]; then
  scratch=$(mktemp -d) folder=$scratch
fi
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

# PostgreSQL refuses to run as root.
as() {
  if [[ $(id -u) == 0 ]]; then runuser -u postgres -- "$@"; else "$@"; fi
}
finish() {
  as "$bin/pg_ctl" -D "$folder/data" -m fast -w stop >/dev/null 2>&1 || true
  [[ -z $scratch ]] || rm -rf "$scratch"
}
trap finish EXIT

if [[ ! -e $folder/data/PG_VERSION ]]; then
  [[ $(id -u) != 0 ]] || { chown postgres "$folder"; chmod 755 "$folder"; }
  as "$bin/initdb" -D "$folder/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >/dev/null
fi
log=$folder/data/log/statements.csv
rm -f "$log"
options="
  -c listen_addresses='' -c unix_socket_directories='$folder' -c port=5432
  -c fsync=off -c full_page_writes=off -c max_wal_size=8GB -c shared_buffers=1GB 
  -c logging_collector=on -c log_destination=csvlog -c log_filename=statements -c log_file_mode=0644
  -c log_rotation_size=0 -c log_truncate_on_rotation=off
  -c session_preload_libraries=auto_explain -c auto_explain.log_analyze=on -c auto_explain.log_buffers=on
  -c log_executor_stats=on -c auto_explain.log_timing=off -c auto_explain.log_format=json"
# One line, for pg_ctl has a shell run it.
as "$bin/pg_ctl" -D "$folder/data" -w start -l "$folder/server.log" -o "${options//$'\n'/ }" >/dev/null

if [[ -z ${STATEMENTS:-} ]]; then
  cargo build --locked -p epicme --example statements
  STATEMENTS=${CARGO_TARGET_DIR:-target}/debug/examples/statements
fi
url() { echo "postgresql://postgres@/$1?host=${folder//\//%2F}"; }
export PGHOST=$folder PGPORT=5432 PGUSER=postgres

if ! "$bin/psql" -d filled -c '' 2>/dev/null; then
  echo "== fill the database with twice $entries entries" >&2
  "$bin/createdb" filling
  DATABASE_URL=$(url filling) "$STATEMENTS" migrate
  "$bin/psql" --quiet -d filling -v entries="$entries" -v user="$("$STATEMENTS" user)" -f bench/statements.sql >"$folder/fill.log"
  "$bin/psql" --quiet -d postgres -c 'ALTER DATABASE filling RENAME TO filled'
fi
# A copy, for something is deleted.
"$bin/psql" --quiet -d postgres -c 'SET client_min_messages = warning' -c 'DROP DATABASE IF EXISTS run' \
  -c 'CREATE DATABASE run TEMPLATE filled STRATEGY file_copy'
DATABASE_URL=$(url run) "$STATEMENTS" migrate
"$bin/psql" --quiet -d run -c 'VACUUM ANALYZE'
echo "== run every call $rounds times" >&2
DATABASE_URL="$(url run)&options=-c%20auto_explain.log_min_duration%3D0" "$STATEMENTS" run "$entries" "$rounds" >"$folder/calls.tsv"
"$bin/psql" --quiet -d postgres -c 'DROP DATABASE run'
python3 bench/statements.py $all "$folder/calls.tsv" "$log"

#!/usr/bin/env bash
# Records a profile for profile-guided optimisation: how often each branch of the server is taken under load.
# A release build that is given it puts code that is used together close together, and inlines it.
#
#   bench/profile.sh      records target/profile/epicme.profdata and prints how to build with it
#
# It builds the server with counters, puts load of both eras on it with the load tester, and merges the counts.
# It needs what `cargo run` needs, rustup for llvm-profdata (or LLVM_PROFDATA, which names one of the
# toolchain's LLVM or a later one), and the ports 7798, 8797 and 9474.
#
# The profile belongs to the source, the toolchain, the dependencies and the processor architecture that it
# was recorded with: the compiler finds a function's counts by its mangled name, and leaves out, without a
# warning, those it finds no function for. Record it for the build that uses it, as the Dockerfile does.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ $# -gt 0 ]]; then
  sed -n "2,13s/^# \{0,1\}//p" bench/profile.sh
  [[ $1 == --help || $1 == -h ]] || exit 64
  exit
fi

profdata_of_the_toolchain() {
  find "$(rustc --print sysroot)/lib/rustlib" -path '*/bin/llvm-profdata' -print -quit
}
profdata=${LLVM_PROFDATA:-$(profdata_of_the_toolchain)}
if [[ -z $profdata ]]; then
  rustup component add llvm-tools
  profdata=$(profdata_of_the_toolchain)
fi

target=$(mkdir -p "${CARGO_TARGET_DIR:-target}" && cd "${CARGO_TARGET_DIR:-target}" && pwd)
scratch=$(mktemp -d)
started=()
finish() {
  local pid
  for pid in "${started[@]}"; do kill -INT "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$scratch"
}
trap finish EXIT

# Runs a program in the background until the end of this script.
start() { # NAME PROGRAM ARGUMENTS...
  local log=$scratch/$1.log
  shift
  "$@" >"$log" 2>&1 </dev/null &
  started+=($!)
}

# Asks until the program that was started last is ready.
until_ready() { # NAME COMMAND...
  local name=$1
  shift
  for _ in $(seq 600); do
    ! "$@" >"$scratch/ready" 2>&1 || return 0
    kill -0 "${started[-1]}" 2>/dev/null || break
    sleep 0.1
  done
  echo "$name did not start:" >&2
  cat "$scratch/$name.log" "$scratch/ready" >&2
  return 1
}

echo "== build the load tester and the mock authorization server"
cargo build --locked --workspace --bins

echo "== build the server with counters"
# With --target, Cargo would keep the flags from build scripts, and mangled names would differ from those of a
# build without it. So build scripts count as well; their counts are thrown away.
RUSTFLAGS=-Cprofile-generate CARGO_TARGET_DIR=$target/counted LLVM_PROFILE_FILE=$scratch/build/%p-%m.profraw \
  cargo build --locked --release --no-default-features --features system-libpq -p epicme

echo "== start PostgreSQL and the mock authorization server"
# `epicme dev` brings a PostgreSQL of its own, which ends with it.
start dev "$target/debug/epicme" dev --ephemeral --bind 127.0.0.1:0 --auth-bind 127.0.0.1:0
until_ready dev grep -oE 'postgresql://\S+' "$scratch/dev.log"
DATABASE_URL=$(head -n 1 "$scratch/ready")

resource=http://127.0.0.1:8797/mcp issuer=http://127.0.0.1:7798 secret=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
export DATABASE_URL MOCK_AUTH_BIND=${issuer#http://} MOCK_AUTH_INTROSPECTION_CLIENT_ID=epicme \
  MOCK_AUTH_INTROSPECTION_CLIENT_SECRET=$secret MOCK_AUTH_SCOPES=user:read,entries:read,entries:write,tags:read,tags:write \
  MOCK_AUTH_DEFAULT_RESOURCE=$resource EPICME_BIND=127.0.0.1:8797 EPICME_PUBLIC_URL=${resource%/mcp} \
  EPICME_METRICS_BIND=127.0.0.1:9474 EPICME_ISSUER=$issuer EPICME_INTROSPECTION_CLIENT_ID=epicme \
  EPICME_INTROSPECTION_CLIENT_SECRET=$secret EPICME_REQUESTS_PER_MINUTE_PER_USER=0 EPICME_UNKNOWN_TOKENS_PER_MINUTE=0
start mock-auth "$target/debug/mock-auth"
until_ready mock-auth "$target/debug/mock-auth" --check-health

# Operations in the proportions that we expect of a server in use.
mix=list_entries=8,tools/list=4,create_entry=3,get_entry=3,search_entries=2,update_entry=1,create_tag=1,whoami=1
mix+=,resources/list=1,prompts/list=1
# First with introspection replies cached as by default, then with every token introspected again each time.
for cache in 60s 0s; do
  echo "== load, with introspection replies cached for $cache"
  EPICME_INTROSPECTION_CACHE=$cache LLVM_PROFILE_FILE=$scratch/served-$cache.profraw \
    start "served-$cache" "$target/counted/release/epicme" serve
  until_ready "served-$cache" "$target/debug/epicme" healthcheck
  "$target/debug/mcp-load" "$resource" --dev-tokens "$issuer" --sessions 64 --users 40 --legacy 40% --streams 20% \
    --session-calls 50 --subject-prefix "recorded-$cache-" --mix "$mix" --warm-up 0s --requests 60000 --duration 60s
  # The counts are written when the server ends by itself.
  kill -TERM "${started[-1]}"
  wait "${started[-1]}"
  unset "started[-1]"
done

mkdir -p "$target/profile"
"$profdata" merge --sparse --output "$target/profile/epicme.profdata" "$scratch"/served-*.profraw
echo "== recorded; build with it by"
echo "RUSTFLAGS=-Cprofile-use=$target/profile/epicme.profdata cargo build --locked --release --no-default-features --features system-libpq -p epicme"

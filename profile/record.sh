#!/usr/bin/env bash
# Records what a release build is optimised by: epicme.profdata, which says how often each branch of the
# program is taken while it serves.
#
#   profile/record.sh           record anew: builds the program with counters and puts load on it
#   profile/record.sh --check   does the recorded profile belong to this toolchain and these dependencies?
#
# To record takes seven minutes on two cores. It needs a PostgreSQL as `epicme dev` does, and llvm-profdata of
# LLVM 19 or later: `rustup component add llvm-tools`, Debian's package llvm-19, or the program that
# LLVM_PROFDATA names.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
cd "$root"

# The compiler finds a function's counts by its mangled name, which depends on all of this: if any of it
# changes, what was recorded is as good as gone, and nothing says so.
belongs_to() {
  rustc --version
  sed -n '/^\[profile\.release\]/,/^$/{ /=/p; }' Cargo.toml
  # The path of our own package is not part of it.
  cargo tree --locked -p epicme --no-default-features --edges normal,build --target x86_64-unknown-linux-gnu \
    --prefix none --no-dedupe --format '{p} {f}' | sed "s| ($root)||" | LC_ALL=C sort -u
}

case ${1:-} in
  --check)
    if belongs_to | diff "$here/belongs-to.txt" -; then
      echo "the profile belongs to this toolchain and these dependencies"
      exit
    fi
    echo "The profile was recorded for what is marked < and is of no use to what is marked >: profile/record.sh" >&2
    exit 1
    ;;
  "") ;;
  *)
    sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    [[ $1 == --help || $1 == -h ]] || exit 64
    exit
    ;;
esac

newest_profdata() {
  find "$(rustc --print sysroot)/lib/rustlib" /usr/lib/llvm-* -path '*/bin/llvm-profdata' 2>/dev/null | sort -V | tail -1
}
profdata=${LLVM_PROFDATA:-$(newest_profdata || true)}
[[ -n $profdata ]] || { echo "llvm-profdata is missing: rustup component add llvm-tools" >&2; exit 69; }

target=$(mkdir -p "${CARGO_TARGET_DIR:-target}" && cd "${CARGO_TARGET_DIR:-target}" && pwd)
scratch=$(mktemp -d)
started=()
finish() {
  for pid in "${started[@]}"; do kill -INT "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$scratch"
}
trap finish EXIT

echo "1. the tester, and what the program needs around it"
cargo build --locked --bins
echo "2. the program, with counters"
# Without --target, for the names would be others; so what runs while it is built counts as well, and that
# is thrown away.
RUSTFLAGS=-Cprofile-generate CARGO_TARGET_DIR=$target/counted LLVM_PROFILE_FILE=$scratch/built/%p-%m.profraw \
  cargo build --locked --release --no-default-features -p epicme

resource=http://127.0.0.1:8797/mcp issuer=http://127.0.0.1:7798 secret=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')

start() { # LOG WORDS PROGRAM ARGUMENTS...: waits until it prints the words
  local log=$scratch/$1.log words=$2
  shift 2
  "$@" >"$log" 2>&1 </dev/null &
  started+=($!)
  for _ in $(seq 600); do
    ! grep -q "$words" "$log" || return 0
    kill -0 "$!" 2>/dev/null || break
    sleep 0.1
  done
  cat "$log" >&2
  return 1
}

# For its PostgreSQL, which ends with it.
start dev "Look into it" "$target/debug/epicme" dev --ephemeral --bind 127.0.0.1:0 --auth-bind 127.0.0.1:0
DATABASE_URL=$(sed -n 's/^ *Look into it *psql //p' "$scratch/dev.log")
export DATABASE_URL
MOCK_AUTH_BIND=${issuer#http://} MOCK_AUTH_INTROSPECTION_CLIENT_SECRET=$secret MOCK_AUTH_DEFAULT_RESOURCE=$resource \
  start mock-auth "is ready at" "$target/debug/mock-auth"

export EPICME_BIND=127.0.0.1:8797 EPICME_PUBLIC_URL=http://127.0.0.1:8797 EPICME_METRICS_BIND=127.0.0.1:9474 \
  EPICME_ISSUER=$issuer EPICME_INTROSPECTION_CLIENT_ID=epicme EPICME_INTROSPECTION_CLIENT_SECRET=$secret \
  EPICME_REQUESTS_PER_MINUTE_PER_USER=0 EPICME_UNKNOWN_TOKENS_PER_MINUTE=0

# What a server in use is asked, in its order of frequency as we guess it. Tokens are believed for as long as by
# default first, and then not at all, so that introspection is recorded as well.
mix=list_entries=8,tools/list=4,create_entry=3,get_entry=3,search_entries=2,update_entry=1,create_tag=1,whoami=1
mix+=,resources/list=1,prompts/list=1
for cache in 60s 0s; do
  echo "3. load, tokens believed for $cache"
  EPICME_INTROSPECTION_CACHE=$cache LLVM_PROFILE_FILE=$scratch/served-$cache.profraw \
    start "served-$cache" "serving http" "$target/counted/release/epicme" serve
  "$target/debug/mcp-load" "$resource" --dev-tokens "$issuer" --sessions 64 --users 40 --legacy 40% --streams 20% \
    --session-calls 50 --subject-prefix "recorded-$cache-" --mix "$mix" --warm-up 0s --requests 60000 --duration 60s
  # It writes its counts down when it ends by itself.
  kill -TERM "${started[-1]}"
  wait "${started[-1]}"
  unset "started[-1]"
done

"$profdata" merge --sparse --output "$here/epicme.profdata" "$scratch"/served-*.profraw
belongs_to >"$here/belongs-to.txt"
ls -l "$here/epicme.profdata"

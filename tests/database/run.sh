#!/usr/bin/env bash
# Runs `epicme` against a database as operators have them: one that takes nothing but TLS, and one behind PgBouncer.
#
#   tests/database/run.sh [--require] [tls] [pooler]
#
# Without the programs a part is skipped; with --require, or in CI, that is a failure. Needs python3, openssl,
# PostgreSQL's programs and PgBouncer. EPICME and MOCK_AUTH name programs to test instead of those that cargo builds, and
# EPICME_TLS one with the system's libpq. KEEP names a folder to keep the logs in.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
require=${CI:-false}
parts=()
for argument in "$@"; do
  case $argument in
    --require) require=true ;;
    tls | pooler) parts+=("$argument") ;;
    *)
      sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 64
      ;;
  esac
done
[[ ${#parts[@]} -gt 0 ]] || parts=(tls pooler)
# Debian keeps PgBouncer where only root looks.
PATH=$PATH:/usr/sbin

failed=0
found=()
for part in "${parts[@]}"; do
  needed=(python3 openssl setpriv)
  [[ $part == pooler ]] && needed+=(pgbouncer)
  missing=
  for program in "${needed[@]}"; do
    command -v "$program" >/dev/null || missing=$program
  done
  # What a program that links it is compiled against.
  [[ $part == tls && -z ${EPICME_TLS:-} ]] && ! pkg-config --exists libpq 2>/dev/null && missing=libpq-dev
  if [[ -z $missing ]]; then
    found+=("$part")
  elif [[ $require == true ]]; then
    echo "FAILED  $part: needs $missing"
    failed=$((failed + 1))
  else
    echo "skipped $part: needs $missing"
  fi
done
if [[ ${#found[@]} -eq 0 ]]; then
  echo "0 passed, $failed failed"
  [[ $failed -eq 0 ]]
  exit
fi

target=${CARGO_TARGET_DIR:-$root/target}
# First, for both are built to one place.
if [[ " ${found[*]} " == *" tls "* && -z ${EPICME_TLS:-} ]]; then
  cargo build --quiet --locked --manifest-path "$root/Cargo.toml" -p epicme --no-default-features --features system-libpq
  EPICME_TLS=$target/debug/epicme-with-tls
  cp "$target/debug/epicme" "$EPICME_TLS"
fi
if [[ -z ${EPICME:-} || -z ${MOCK_AUTH:-} ]]; then
  cargo build --quiet --locked --manifest-path "$root/Cargo.toml" --bins
  EPICME=$target/debug/epicme MOCK_AUTH=$target/debug/mock-auth
fi
# Whatever folder they are run in.
EPICME=$(realpath "$EPICME") MOCK_AUTH=$(realpath "$MOCK_AUTH")
[[ -z ${EPICME_TLS:-} ]] || EPICME_TLS=$(realpath "$EPICME_TLS")
export EPICME MOCK_AUTH EPICME_TLS=${EPICME_TLS:-}

# PostgreSQL runs as another user than root, which has to enter it.
scratch=$(mktemp -d)
chmod 755 "$scratch"
trap 'rm -rf "$scratch"' EXIT
export PYTHONDONTWRITEBYTECODE=1
# At the same time: most of it is waiting for what does not come.
running=()
for part in "${found[@]}"; do
  python3 "$here/$part.py" "$scratch" >"$scratch/$part.out" 2>&1 &
  running+=($!)
done
trap 'kill "${running[@]}" 2>/dev/null || true; wait; rm -rf "$scratch"' EXIT
passed=0
for n in "${!found[@]}"; do
  part=${found[n]}
  wait "${running[n]}" || true
  cat "$scratch/$part.out"
  # Its last line is the count.
  counts=$(sed -n 's/^\([0-9]*\) checks passed, \([0-9]*\) failed$/\1 \2/p' "$scratch/$part.out")
  if [[ -z $counts ]]; then
    echo "FAILED  $part: the checks ended early"
    counts="0 1"
  fi
  passed=$((passed + ${counts% *})) failed=$((failed + ${counts#* }))
done
if [[ -n ${KEEP:-} ]]; then
  mkdir -p "$KEEP"
  cp "$scratch"/*.log "$scratch"/*.out "$KEEP"/
fi
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]

#!/usr/bin/env bash
# Runs one `epicme serve`, and then two, behind the examples of docs/proxies and docker/haproxy, as they stand there
# but for ports and paths, and checks what docs/proxies/README.md promises of them.
#
#   tests/proxies/run.sh [--require] [nginx] [caddy] [haproxy]
#
# Without the programs it is skipped; with --require, or in CI, that is a failure. Needs python3 and
# openssl, and a PostgreSQL as `epicme dev` does. EPICME and MOCK_AUTH name programs to test instead of
# those that cargo builds. KEEP names a folder to keep the logs in.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
require=${CI:-false}
proxies=()
for argument in "$@"; do
  case $argument in
    --require) require=true ;;
    nginx | caddy | haproxy) proxies+=("$argument") ;;
    *)
      sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 64
      ;;
  esac
done
[[ ${#proxies[@]} -gt 0 ]] || proxies=(nginx caddy haproxy)
# Debian keeps nginx and HAProxy where only root looks.
PATH=$PATH:/usr/sbin

passed=0 failed=0
found=()
for needed in python3 openssl "${proxies[@]}"; do
  if command -v "$needed" >/dev/null; then
    [[ $needed == nginx || $needed == caddy || $needed == haproxy ]] && found+=("$needed")
    continue
  fi
  if [[ $require == true ]]; then
    echo "FAILED  proxies: needs $needed"
    failed=$((failed + 1))
  else
    echo "skipped proxies: needs $needed"
  fi
  [[ $needed == nginx || $needed == caddy || $needed == haproxy ]] || found=() proxies=()
done
if [[ ${#found[@]} -eq 0 ]]; then
  echo "$passed passed, $failed failed"
  [[ $failed -eq 0 ]]
  exit
fi

if [[ -z ${EPICME:-} || -z ${MOCK_AUTH:-} ]]; then
  cargo build --quiet --manifest-path "$root/Cargo.toml" --bins
  target=${CARGO_TARGET_DIR:-$root/target}
  EPICME=$target/debug/epicme MOCK_AUTH=$target/debug/mock-auth
fi
export EPICME MOCK_AUTH

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
  -subj /CN=journal.example -addext subjectAltName=DNS:journal.example \
  -keyout "$scratch/key.pem" -out "$scratch/certificate.pem" 2>"$scratch/openssl.log"

# At the same time: most of it is waiting for a stream that says nothing.
export PYTHONDONTWRITEBYTECODE=1
running=()
for proxy in "${found[@]}"; do
  python3 "$here/check.py" "$proxy" "$root" "$scratch" >"$scratch/$proxy.out" 2>&1 &
  running+=($!)
done
trap 'kill "${running[@]}" 2>/dev/null || true; wait; rm -rf "$scratch"' EXIT

for n in "${!found[@]}"; do
  proxy=${found[n]}
  wait "${running[n]}" || true
  cat "$scratch/$proxy.out"
  # Its last line is the count.
  counts=$(sed -n 's/^\([0-9]*\) checks passed, \([0-9]*\) failed$/\1 \2/p' "$scratch/$proxy.out")
  if [[ -z $counts ]]; then
    echo "FAILED  $proxy: the checks ended early"
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

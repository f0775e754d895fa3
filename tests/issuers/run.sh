#!/usr/bin/env bash
# Drives a real `epicme serve` behind authorization servers that others wrote, each set up and configured as its page
# in docs/issuers says: registration, sign-in, a call, step-up, refresh, revocation, an outage and its end.
#
#   tests/issuers/run.sh [--require] [NAME...]
#
# oidc-provider, better-auth        npm; these two run if no name is given
# django-oauth-toolkit, canaille    PyPI, in a virtual environment of their own
#
# Needs Node.js and PostgreSQL (or DATABASE_URL, whose role may create databases). What cannot run on this machine is
# skipped, unless CI=true or --require. EPICME names a program to test instead of the one that cargo builds.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
require=${CI:-false}
names=()
for argument in "$@"; do
  case $argument in
    --require) require=true ;;
    oidc-provider | better-auth | django-oauth-toolkit | canaille) names+=("$argument") ;;
    *)
      sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 64
      ;;
  esac
done
[[ ${#names[@]} -gt 0 ]] || names=(oidc-provider better-auth)

passed=0 failed=0
output=$(mktemp)
trap 'rm -f "$output"' EXIT

# missing NAME WHY: skipped, or failed where everything has to run
missing() {
  if [[ $require == true ]]; then
    echo "FAILED  $1: $2"
    failed=$((failed + 1))
  else
    echo "skipped $1: $2"
  fi
}

has_node() {
  command -v npm >/dev/null && node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' 2>/dev/null
}

has_python() {
  python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# node_modules DIRECTORY: what the lock file says, unless it is there
node_modules() {
  if [[ ! $1/node_modules/.package-lock.json -nt $1/package-lock.json ]]; then
    (cd "$1" && npm ci --silent)
  fi
}

# python_packages DIRECTORY: what requirements.txt says, unless it is there
python_packages() {
  if [[ ! $1/.venv/installed -nt $1/requirements.txt ]]; then
    python3 -m venv "$1/.venv"
    "$1/.venv/bin/pip" install --quiet --disable-pip-version-check -r "$1/requirements.txt"
    touch "$1/.venv/installed"
  fi
}

if ! has_node; then
  for name in "${names[@]}"; do missing "$name" "needs npm and Node.js 20 or newer"; done
  names=()
fi
if [[ ${#names[@]} -gt 0 && -z ${EPICME:-} ]]; then
  cargo build --quiet --manifest-path "$root/Cargo.toml" --bin epicme
  EPICME=$(cd "${CARGO_TARGET_DIR:-$root/target}" && pwd)/debug/epicme
fi

for name in "${names[@]}"; do
  case $name in
    oidc-provider) node_modules "$here/../clients/oidc-provider" ;;
    better-auth) node_modules "$here" ;;
    *)
      if ! has_python; then
        missing "$name" "needs Python 3.11 or newer with venv"
        continue
      fi
      python_packages "$here/$name"
      ;;
  esac
  code=0
  node "$here/check.mjs" "$name" "$EPICME" | tee "$output" || code=$?
  # Its last line is the count, which begins with its name.
  read -r p _ f _ < <(tail -n 1 "$output" | grep -oE '[0-9]+ passed, [0-9]+ failed$' || echo "0 passed, 0")
  if [[ $((p + f)) -eq 0 || ($code -ne 0 && $f -eq 0) ]]; then
    echo "FAILED  $name ended early, with code $code"
    f=$((f + 1))
  fi
  passed=$((passed + p)) failed=$((failed + f))
done

echo
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]

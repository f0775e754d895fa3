#!/usr/bin/env bash
# Drives a server by clients that somebody else wrote, and puts it behind an authorization server that
# somebody else wrote.
#
#   tests/clients/run.sh [--require] [all|typescript|python|several|oidc-provider]
#
# typescript     @modelcontextprotocol/client against `epicme dev`, both eras, and @modelcontextprotocol/sdk
# python         mcp against `epicme dev`, both eras
# several        both in legacy sessions, and tokens bound to a key (DPoP), against two processes of `epicme serve`
# oidc-provider  `epicme serve` behind oidc-provider, also with tokens bound to a key; a PostgreSQL of its own (or DATABASE_URL)
#
# What is not installed on this machine is skipped, unless CI=true or --require. EPICME_BIN names a
# program to test instead of the one that cargo builds, MOCK_AUTH_BIN likewise.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
require=${CI:-false}
what=all
for argument in "$@"; do
  case $argument in
    --require) require=true ;;
    all | typescript | python | several | oidc-provider) what=$argument ;;
    *)
      sed -n '2,14s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 64
      ;;
  esac
done

passed=0 failed=0 server=
output=$(mktemp)

finish() {
  if [[ -n $server ]]; then
    kill -INT "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
  fi
  rm -f "$output"
}
trap finish EXIT

wanted() { [[ $what == all || $what == "$1" ]]; }

# missing SUITE WHY: skipped, or failed where everything has to run
missing() {
  if [[ $require == true ]]; then
    echo "FAILED  $1: $2"
    failed=$((failed + 1))
  else
    echo "skipped $1: $2"
  fi
}

# suite NAME COMMAND...: runs it, and adds its closing line to the count
suite() {
  local name=$1 code=0
  shift
  "$@" | tee "$output" || code=$?
  local count
  if count=$(tail -n 1 "$output" | grep -oE '[0-9]+ passed, [0-9]+ failed$'); then
    read -r p _ f _ <<<"$count"
    passed=$((passed + p)) failed=$((failed + f))
    [[ $code -eq 0 || $f -gt 0 ]] && return
  fi
  echo "FAILED  $name ended early, with code $code"
  failed=$((failed + 1))
}

has_node() {
  command -v npm >/dev/null && node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' 2>/dev/null
}

has_python() {
  python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# node_modules DIRECTORY...: what the lock files say, unless it is there
node_modules() {
  local directory
  for directory in "$@"; do
    if [[ ! $directory/node_modules/.package-lock.json -nt $directory/package-lock.json ]]; then
      (cd "$directory" && npm ci --silent)
    fi
  done
}

program=${EPICME_BIN:-}
if [[ -z $program ]]; then
  cargo build --quiet --manifest-path "$here/../../Cargo.toml" --bin epicme
  target=${CARGO_TARGET_DIR:-$here/../../target}
  program=$(cd "$target" && pwd)/debug/epicme
fi

# Starts `epicme dev` on free ports, once, and reads the server's URL off its banner.
url=
start_dev() {
  [[ -z $url ]] || return 0
  local banner line
  exec {banner}< <(
    unset DATABASE_URL EPICME_BIND MOCK_AUTH_BIND
    exec "$program" dev --ephemeral --bind 127.0.0.1:0 --auth-bind 127.0.0.1:0 --log warn
  )
  server=$!
  while read -r -t 60 -u "$banner" line; do
    case $line in
      "MCP server"*) url=${line##* } ;;
      "MCP Inspector"*) return 0 ;;
    esac
  done
  echo "FAILED  epicme dev printed no banner"
  exit 1
}

if wanted typescript; then
  if has_node; then
    node_modules "$here/typescript"
    start_dev
    suite typescript node "$here/typescript/session.mjs" "$url"
  else
    missing typescript "needs npm and Node.js 20 or newer"
  fi
fi

venv=$here/python/.venv

# What requirements.txt says, unless it is there
python_packages() {
  if [[ ! $venv/installed -nt $here/python/requirements.txt ]]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/python/requirements.txt"
    touch "$venv/installed"
  fi
}

if wanted python; then
  if has_python; then
    python_packages
    start_dev
    suite python "$venv/bin/python" -B "$here/python/session.py" "$url"
  else
    missing python "needs Python 3.11 or newer with venv"
  fi
fi

if wanted several; then
  if has_node && has_python; then
    node_modules "$here/typescript"
    python_packages
    mock_auth=${MOCK_AUTH_BIN:-}
    if [[ -z $mock_auth ]]; then
      cargo build --quiet --manifest-path "$here/../../Cargo.toml" -p mock-auth --bins
      target=${CARGO_TARGET_DIR:-$here/../../target}
      mock_auth=$(cd "$target" && pwd)/debug/mock-auth
    fi
    suite several node "$here/several/check.mjs" "$program" "$mock_auth" "$venv/bin/python" "$here/several/client.py"
  else
    missing several "needs npm, Node.js 20 or newer and Python 3.11 or newer with venv"
  fi
fi

if wanted oidc-provider; then
  if has_node; then
    node_modules "$here/typescript" "$here/oidc-provider"
    suite oidc-provider node "$here/oidc-provider/check.mjs" "$program"
  else
    missing oidc-provider "needs npm and Node.js 20 or newer"
  fi
fi

finish
echo
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]

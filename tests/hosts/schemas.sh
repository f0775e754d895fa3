#!/usr/bin/env bash
# Gives the schemas of all tools to the libraries by which providers of models read them: outlines-core, llguidance,
# google-genai, the OpenAI Agents SDK; and to rules of providers without a library.
#
#   tests/hosts/schemas.sh [--require]
#
# Needs PostgreSQL's programs, curl and Python 3.11 with venv, into which schemas/requirements.txt is installed. Without them
# it is skipped; with --require, or in CI, that is a failure. EPICME names a program to test, HOSTS_PORT the first of two ports.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
require=${CI:-false}
case ${1:-} in
  '') ;;
  --require) require=true ;;
  *)
    sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    [[ $1 == --help || $1 == -h ]] && exit 0
    exit 64
    ;;
esac
if ! python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo 'skipped: needs Python 3.11 or newer with venv'
  [[ $require != true ]]
  exit
fi

PORT=${HOSTS_PORT:-20100}
if [[ -z ${EPICME:-} ]]; then
  cargo build --quiet --manifest-path "$root/Cargo.toml" --bin epicme
  EPICME=${CARGO_TARGET_DIR:-$root/target}/debug/epicme
fi
venv=$here/schemas/.venv
if [[ ! $venv/installed -nt $here/schemas/requirements.txt ]]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/schemas/requirements.txt"
  touch "$venv/installed"
fi

STACK=$(mktemp -d)
MCP=http://127.0.0.1:$PORT/mcp
. "$here/support/programs.sh"
trap 'stop dev; rm -rf "$STACK"' EXIT
start dev "$EPICME" dev --ephemeral --bind "127.0.0.1:$PORT" --auth-bind "127.0.0.1:$((PORT + 1))"
# It prints a token.
await 60 grep -q epa_ "$STACK/dev.log" || { cat "$STACK/dev.log" && exit 1; }
token=$(grep -oE 'epa_[A-Za-z0-9_-]+' "$STACK/dev.log" | head -n 1)
meta='{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}'
curl -fsS "$MCP" -o "$STACK/tools.json" -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
  -H 'Accept: application/json, text/event-stream' -H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/list' \
  -d "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{\"_meta\":$meta}}"
"$venv/bin/python" "$here/schemas/check.py" "$STACK/tools.json"

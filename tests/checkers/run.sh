#!/usr/bin/env bash
# Has `epicme dev` checked by tools that others wrote for MCP servers, with a sign-in that needs no browser.
#
#   tests/checkers/run.sh [--require]
#
# mcp-authlab     authorization, 33 checks: it registers, signs in, and attacks with forged, foreign and replayed credentials
# mcp-ssrf-check  Host, Origin and session ids, in both eras
# jbt-mcpcheck    the revision 2026-07-28 on the wire
# mcp-quality     contract, security and safety of tools
#
# What is not installed on this machine is skipped, unless CI=true or --require. EPICME_BIN names a program to test
# instead of the one that cargo builds.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
require=${CI:-false}
case ${1:-} in
  '') ;;
  --require) require=true ;;
  *)
    sed -n '2,13s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 64
    ;;
esac

if ! python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  if [[ $require == true ]]; then
    echo "FAILED  checkers: need Python 3.11 or newer with venv"
    echo "0 passed, 1 failed"
    exit 1
  fi
  echo "skipped checkers: need Python 3.11 or newer with venv"
  exit 0
fi

venv=$here/.venv
if [[ ! $venv/installed -nt $here/requirements.txt ]]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
  touch "$venv/installed"
fi

program=${EPICME_BIN:-}
if [[ -z $program ]]; then
  cargo build --quiet --manifest-path "$here/../../Cargo.toml" --bin epicme
  program=$(cd "${CARGO_TARGET_DIR:-$here/../../target}" && pwd)/debug/epicme
fi

exec "$venv/bin/python" -B "$here/check.py" "$program"

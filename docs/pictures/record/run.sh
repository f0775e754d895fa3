#!/bin/sh
# Makes the README's pictures from running programs: ../terminal.svg from what `cargo run` prints and its first
# command answers, ../host.png from the consent page and the MCP Inspector in Chromium.
#
#   docs/pictures/record/run.sh
#
# It needs what `cargo run` needs, Node.js 22.19 or newer (NODE names another), npm and Chromium (CHROMIUM names another). Ports 8787, 7788 and 6274 have to be
# free. Times, tokens and ids differ each time, so nothing checks these two pictures.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
cd "$here"
if ! cmp -s package-lock.json node_modules/.lock-used; then
  # `npm ci` refuses the lock file that npm writes here: it lacks an optional package for Windows.
  npm install --silent --no-save
  cp package-lock.json node_modules/.lock-used
fi
(cd "$root" && cargo build --quiet)
# A short path: PostgreSQL's socket is below it.
WORK=$(mktemp -d /tmp/record.XXXXXX)
export WORK
trap 'rm -rf "$WORK"' EXIT
node record.mjs "${CARGO_TARGET_DIR:-$root/target}/debug/epicme" "$here/node_modules/.bin/mcp-inspector" \
  "${NODE:-node}" "$here/.."

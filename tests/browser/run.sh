#!/bin/sh
# Drives the pages of mock-auth in a real Chromium.
#
#   tests/browser/run.sh [--require] [path-to-mock-auth-binary]
#
# Without Chromium or Node.js it says so and is skipped; with --require, or in CI, that is a failure.
# CHROMIUM names another browser, SCREENSHOTS a directory to keep the screenshots in.
set -eu

require=${CI:-}
if [ "${1:-}" = "--require" ]; then
  require=true
  shift
fi
binary=${1:-}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

missing() {
  if [ "$require" = true ] || [ "$require" = 1 ]; then
    echo "failed: $1 is missing"
    exit 1
  fi
  echo "skipped: $1 is missing"
  exit 0
}

CHROMIUM=${CHROMIUM:-/usr/bin/chromium}
[ -x "$CHROMIUM" ] || missing "Chromium ($CHROMIUM; CHROMIUM names another)"
command -v node >/dev/null || missing "Node.js"
command -v npm >/dev/null || missing "npm"

if [ -z "$binary" ]; then
  (cd "$root" && cargo build --quiet --bin mock-auth)
  binary=${CARGO_TARGET_DIR:-$root/target}/debug/mock-auth
fi
binary=$(cd "$(dirname "$binary")" && pwd)/$(basename "$binary")
[ -x "$binary" ] || { echo "failed: there is no program at $binary"; exit 1; }

cd "$here"
# The lockfile pins the one package; playwright-core brings no browser of its own.
if ! cmp -s package-lock.json node_modules/.lock-used; then
  npm ci --silent
  cp package-lock.json node_modules/.lock-used
fi
export CHROMIUM
exec node drive.mjs "$binary"

#!/bin/sh
# Links, commands, chapters and pictures of the documentation, and its site: docs/TESTING.md says what holds.
#
#   tests/docs/run.sh [--require]
#
# Without mdbook or Node.js what needs them is left out, and the script says so; with --require that is a failure.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
failed=0

missing() {
  echo "skipped: $1 is missing"
  [ "$require" = no ] || failed=1
}
require=no
[ "${1:-}" != "--require" ] || require=yes

python3 tests/docs/check.py || failed=1
if command -v npm >/dev/null; then
  docs/pictures/build.sh --check || failed=1
else
  missing "npm"
fi
if command -v mdbook >/dev/null; then
  mdbook build >/dev/null || failed=1
else
  missing "mdbook (cargo install --locked mdbook)"
fi
exit "$failed"

#!/usr/bin/env bash
# Measures how much memory a session and a stream take while nothing happens on them, and how much random
# tokens leave behind, and fails where it is more than it should be.
#
#   tests/footprint/run.sh [COUNT]
#
# COUNT  how many of each kind are opened; 5000 where none is named, fewer where the limit of open
#        files is too low for it. Of the tokens there are twenty times as many
#
# Needs Linux (/proc) and Python 3. EPICME_BIN names a program to measure instead of the release build
# that cargo makes; a debug build takes about as much.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# Each stream takes an open file of the server's and one of the client's.
ulimit -n "$(ulimit -Hn)"

program=${EPICME_BIN:-}
if [[ -z $program ]]; then
  cargo build --quiet --locked --release --manifest-path "$here/../../Cargo.toml" --package epicme
  target=${CARGO_TARGET_DIR:-$here/../../target}
  program=$(cd "$target" && pwd)/release/epicme
fi

exec python3 "$here/measure.py" "$program" "${1:-5000}"

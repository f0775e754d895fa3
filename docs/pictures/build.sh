#!/bin/sh
# Makes the pictures of the documentation from their sources: NAME.svg of each NAME.dot.
#
#   docs/pictures/build.sh            writes them
#   docs/pictures/build.sh --check    says which of them are not what their source makes
#
# It needs Node.js. Graphviz comes as WebAssembly, in the version of package-lock.json, and measures text by
# tables of its own, so every machine makes the same bytes.
set -eu
cd "$(dirname "$0")"
if ! cmp -s package-lock.json node_modules/.lock-used; then
  npm ci --silent
  cp package-lock.json node_modules/.lock-used
fi
exec node build.mjs "$@"

#!/usr/bin/env bash
# Runs the official conformance suite against the product's transport, sessions and dispatch, behind
# which stand the features that the suite asks for (fixture/).
#
#   tests/conformance/run.sh [--require] [REVISION...]
#
# REVISION  2026-07-28, 2025-11-25, 2025-06-18 or 2025-03-26; all four where none is named
#
# What a revision requires is run where the suite has a list of it (the first two), else everything that
# it has for the revision. Needs npm; without it nothing is run, unless CI=true or --require. What is
# known to fail stands in expected-failures.yml. CONFORMANCE_OUTPUT names a folder to keep the suite's
# results in. EPICME_FIXTURE names a fixture to test instead of the one that cargo builds.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
require=${CI:-false}
revisions=()
for argument in "$@"; do
  case $argument in
    --require) require=true ;;
    2026-07-28 | 2025-11-25 | 2025-06-18 | 2025-03-26) revisions+=("$argument") ;;
    *)
      sed -n '2,13s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 64
      ;;
  esac
done
[[ ${#revisions[@]} -gt 0 ]] || revisions=(2026-07-28 2025-11-25 2025-06-18 2025-03-26)

if ! command -v npm >/dev/null; then
  if [[ $require == true ]]; then
    echo "FAILED  conformance: needs npm"
    echo "0 passed, 1 failed"
    exit 1
  fi
  echo "skipped conformance: needs npm"
  echo "0 passed, 0 failed"
  exit 0
fi
if [[ ! $here/node_modules/.package-lock.json -nt $here/package-lock.json ]]; then
  (cd "$here" && npm ci --silent)
fi

fixture=${EPICME_FIXTURE:-}
if [[ -z $fixture ]]; then
  cargo build --quiet --manifest-path "$here/../../Cargo.toml" -p mcp-server --example conformance-fixture
  target=${CARGO_TARGET_DIR:-$here/../../target}
  fixture=$(cd "$target" && pwd)/debug/examples/conformance-fixture
fi

passed=0 failed=0 server=
scratch=$(mktemp -d)
output=${CONFORMANCE_OUTPUT:-$scratch}

finish() {
  if [[ -n $server ]]; then
    kill -INT "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
  fi
  rm -rf "$scratch"
}
trap finish EXIT

# The suite needs Node.js 22 or newer, which is installed beside it.
suite() {
  "$here/node_modules/node/bin/node" \
    "$here/node_modules/@modelcontextprotocol/conformance/dist/index.js" "$@"
}

# Reads what is not scored, and the suite's summary: a line for each scenario, then those that were
# expected to fail. Prints how many passed, failed and were expected to fail, how many of their checks
# passed and failed, and the names of those that were expected to fail and of those that failed.
count() {
  awk '
    /^ +- [^ ]+ \[server\]$/ { unscored[$2]; next }
    /^=== SUMMARY ===$/ { summary = 1; next }
    !summary { next }
    /^[^ ]+ [^ ]+: [0-9]+ passed/ { name = $2; sub(/:$/, "", name); if (!(name in unscored)) { passes[name] = $1 == "✓"; good += $3; bad += $5 }; next }
    /^  ~ / { sub(/:.*/, "", $2); if ($2 in passes && !passes[$2]) { delete passes[$2]; expected++; list = list " " $2 } }
    END {
      for (name in passes) if (passes[name]) passed++; else { failed++; wrong = wrong " " name }
      printf "%d %d %d %d %d\n", passed, failed, expected, good, bad
      print list
      print wrong
    }
  '
}

run() {
  local revision=$1 code=0 log=$scratch/$1.log
  local chosen=(--suite all --spec-version "$revision")
  : >"$log"
  case $revision in
    2026-07-28 | 2025-11-25)
      chosen=(--requirements "$revision")
      suite list --server --requirements "$revision" >"$log"
      ;;
  esac
  suite server --url "$url" "${chosen[@]}" --expected-failures "$here/expected-failures.yml" \
    -o "$output/$revision" >>"$log" 2>&1 || code=$?
  { read -r p f e good bad && read -r expected && read -r wrong; } < <(count <"$log")
  echo "$revision: $p passed, $f failed, $e expected to fail (checks: $good passed, $bad failed)"
  [[ -z $expected ]] || echo "  expected to fail: $expected"
  [[ -z $wrong ]] || echo "  FAILED  $wrong"
  if [[ $code -ne 0 || $((p + f + e)) -eq 0 ]] && [[ $f -eq 0 ]]; then
    echo "  FAILED  the suite ended with code $code:"
    tail -n 12 "$log" | sed 's/^/    /'
    f=1
  fi
  passed=$((passed + p)) failed=$((failed + f))
}

exec {banner}< <(exec "$fixture")
server=$!
url=
read -r -t 60 -u "$banner" url || true
if [[ -z $url ]]; then
  echo "FAILED  the fixture did not start"
  exit 1
fi
for revision in "${revisions[@]}"; do
  run "$revision"
done

finish
echo
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]

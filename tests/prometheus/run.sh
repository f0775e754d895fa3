#!/usr/bin/env bash
# Checks what Prometheus and Grafana are given: the alert rules by promtool, with tests that have each of them
# fire and not fire; that rules and dashboard name only metrics and labels that there are; and that
# docs/TROUBLESHOOTING.md tells of every alert.
#
#   tests/prometheus/run.sh [--require]
#
# promtool is in Debian's package `prometheus`. Without it its part is skipped; with --require, or in CI, that is
# a failure. Needs python3.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
rules=$here/../../docker/prometheus
require=${CI:-false}
case ${1:-} in
  --require) require=true ;;
  "") ;;
  *)
    sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 64
    ;;
esac

passed=0 failed=0

check() { # NAME COMMAND...
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then
    echo "ok      $name"
    passed=$((passed + 1))
  else
    echo "FAILED  $name"
    sed 's/^/          /' <<<"$output"
    failed=$((failed + 1))
  fi
}

export PYTHONDONTWRITEBYTECODE=1
for promise in names values dashboard tests runbook; do
  check "$(python3 "$here/check.py" --name "$promise")" python3 "$here/check.py" "$promise"
done

if command -v promtool >/dev/null; then
  check "promtool takes the configuration, with its rules" promtool check config "$rules/prometheus.yml"
  check "promtool takes the rules" promtool check rules "$rules/alerts.yml"
  check "each alert fires when it should, and not otherwise" promtool test rules "$here/alerts.test.yml"
elif [[ $require == true ]]; then
  echo "FAILED  the rules: needs promtool"
  failed=$((failed + 1))
else
  echo "skipped the rules: needs promtool"
fi

echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]

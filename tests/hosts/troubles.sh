#!/usr/bin/env bash
# What hosts do when something goes wrong: each is signed in, meets one trouble, and is run once more when that is over. A host
# passes if it ends by itself, and works again without a person's doing. One line for each host and trouble.
#
#   tests/hosts/troubles.sh [HOST [TROUBLE...]]
#
# Hosts, all of them by default: codex claude-code gemini copilot opencode qwen. Troubles, all of them by default:
#   rate-limit      calls are refused with 429
#   outage          in the middle of a session the authorization server fails, so that calls are refused with 503
#   expiry          the access token has run out before the host is started
#   parallel        the access token runs out, and three calls at once notice it
#   server-restart  the server is restarted between two calls
#   mock-restart    the authorization server and the server are restarted between two runs of the host
#   mock-lost       the same, and the authorization server has lost everything: here the person signs in again
#   step-up         a call needs a scope that was not granted, and is refused with 403
#
# Takes about half an hour. The environment is that of run.sh; what a host printed and sent is in
# HOSTS_DIR/last/HOST-TROUBLE afterwards.

set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/support/folders.sh"

hosts=(codex claude-code gemini copilot opencode qwen)
troubles=(rate-limit outage expiry parallel server-restart mock-restart mock-lost step-up)
if [[ ${1:-} == -* ]]; then
  sed -n '2,20s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
  [[ $1 == --help || $1 == -h ]] && exit 0
  exit 64
fi
# known WHAT NAME LIST...
known() {
  local what=$1 name=$2
  shift 2
  [[ " $* " == *" $name "* ]] || { echo "there is no $what $name; there are: $*" >&2 && exit 64; }
}
if [[ $# -gt 0 ]]; then
  known host "$1" "${hosts[@]}"
  hosts=("$1")
  shift
  for name in "$@"; do known trouble "$name" "${troubles[@]}"; done
  [[ $# -gt 0 ]] && troubles=("$@")
fi

. "$here/support/session.sh"
passed=0 failed=0

LIST='["list_entries",{"limit":1}]'
# How long an access token lives where it has to run out, and how long the model waits for that.
SHORT=15
WAIT=20000

# during SCRIPT: the run that meets the trouble. after SCRIPT: the run after it.
during() { phase during "$1"; }
after() { phase after "$1"; }
phase() {
  local from model_from began=$SECONDS status=0
  from=$(log_lines "$WIRE") model_from=$(log_lines "$MODEL_LOG")
  echo "--- $1"
  run "SCRIPT:[$2]" || status=$?
  tail -n "+$((from + 1))" "$WIRE" >"$WORK/$1.wire.jsonl"
  tail -n "+$((model_from + 1))" "$MODEL_LOG" >"$WORK/$1.model.jsonl"
  echo "{\"status\":$status,\"seconds\":$((SECONDS - began))}" >"$WORK/$1.json"
}

# when_called COMMAND...: in the background, as soon as the host has called a tool
when_called() {
  local from
  from=$(log_lines "$WIRE")
  (await 280 called_since "$from" && "$@") &
}
called_since() { tail -n "+$(($1 + 1))" "$WIRE" | grep -q '"tools/call\|\\"tools/call'; }

server_answers() {
  curl -fsS -o /dev/null "http://$server_address/mcp" -H "Host: 127.0.0.1:$((PORT + 20))" -H "Authorization: Bearer $(token)" \
    -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \
    -d '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"tests","version":"1"}}}'
}

meet() {
  case $1 in
    rate-limit)
      sign_in
      phase before "$LIST"
      # As many requests as it needs to begin, and two calls.
      server_restart EPICME_REQUESTS_PER_MINUTE_PER_USER="$("$NODE" "$here/support/requests.mjs" "$WORK/before.wire.jsonl")"
      # Gemini CLI takes equal calls for a loop, and ends.
      during "$(for limit in 1 2 3 4 5 6; do printf '%s["list_entries",{"limit":%d}]' "${comma-}" "$limit" && comma=,; done)"
      server_restart
      after "$LIST"
      ;;
    outage)
      server_restart EPICME_INTROSPECTION_CACHE=1s
      sign_in
      when_called fault '{"introspection":{"mode":"error","status":502}}'
      during "$LIST,[\"whoami\",{},5000],[\"list_tags\",{}]"
      wait $!
      fault '{}'
      await 60 server_answers
      after "$LIST"
      ;;
    expiry)
      mock_restart "$SHORT"
      server_restart
      sign_in
      sleep "$SHORT"
      during "$LIST"
      after "$LIST"
      ;;
    parallel)
      mock_restart "$((SHORT + ${early:-0}))"
      server_restart
      sign_in
      during "$LIST,[\"parallel\",[[\"whoami\",{}],[\"list_tags\",{}],[\"list_entries\",{\"limit\":2}]],$WAIT],[\"whoami\",{}]"
      after "$LIST"
      ;;
    server-restart)
      sign_in
      when_called server_restart
      during "$LIST,[\"whoami\",{},15000],[\"list_tags\",{}]"
      wait $!
      after "$LIST"
      ;;
    mock-restart)
      sign_in
      mock_restart
      server_restart
      during "$LIST"
      after "$LIST"
      ;;
    mock-lost)
      sign_in
      stop mock
      rm -rf "$STACK/mock-state"
      mock_up
      server_restart
      during "$LIST"
      if declare -F sign_in_anew >/dev/null; then sign_in_anew; else sign_in; fi
      after "$LIST"
      ;;
    step-up)
      BROWSE_WITHOUT=tags:read sign_in
      during "$LIST,[\"create_entry\",{\"title\":\"T\",\"content\":\"C\",\"tags\":[999]}],$LIST"
      after "$LIST"
      ;;
  esac
}

one() {
  local host=$1 trouble=$2 reason
  if ! reason=$(can_run "$host"); then
    echo "skipped $host: $reason"
    return
  fi
  home_for "$HOSTS_DIR/last/$host-$trouble"
  (
    . "$here/hosts/$host.sh"
    setup
    meet "$trouble"
  ) >"$WORK/output" 2>&1
  if "$NODE" "$here/support/trouble.mjs" "$host" "$trouble" "$WORK"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
  # What a trouble has changed.
  case $trouble in
    rate-limit | step-up | server-restart | mock-restart | mock-lost) ;;
    *) mock_restart && server_restart ;;
  esac
}

open_session
for host in "${hosts[@]}"; do
  for trouble in "${troubles[@]}"; do one "$host" "$trouble"; done
done
echo
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]

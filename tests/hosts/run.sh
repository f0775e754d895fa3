#!/usr/bin/env bash
# Connects real hosts to a real server: each registers and signs in on the pages of mock-auth, lists the tools, and writes and
# lists an entry, as a scripted model tells it to. One line a host.
#
#   tests/hosts/run.sh [--install] [--require] [HOST...]
#
#   --install  installs first what is missing (install.sh)
#   --require  a host that cannot run has failed; otherwise it is skipped
#
# Without a name all hosts run, which takes about ten minutes. They are those of install.sh:
#   codex claude-code gemini copilot opencode qwen continue mcporter mcp-remote inspector inspector-web fastmcp
#   openai-agents langchain pydantic-ai adk aisdk langchainjs mastra openai-agents-js
#
# EPICME and MOCK_AUTH name programs to test instead of those that cargo builds. HOSTS_DIR is where the hosts are
# (target/hosts), HOSTS_PORT the first of 40 ports on loopback (20100). What a host printed, kept and sent is in
# HOSTS_DIR/last/HOST afterwards. Needs PostgreSQL's programs, curl, Node.js and Python; some hosts need tmux or Chromium.

set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/support/folders.sh"

require=false install=false
names=()
for argument in "$@"; do
  case $argument in
    --install) install=true ;;
    --require) require=true ;;
    -*)
      sed -n '2,18s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      [[ $argument == --help || $argument == -h ]] && exit 0
      exit 64
      ;;
    *)
      [[ -f $here/hosts/$argument.sh ]] || { echo "there is no host $argument; there are: ${HOSTS[*]}" >&2 && exit 64; }
      names+=("$argument")
      ;;
  esac
done
[[ ${#names[@]} -gt 0 ]] || names=("${HOSTS[@]}")

. "$here/support/session.sh"
passed=0 failed=0 skipped=0

# Sets up, signs in and runs one host in a shell of its own.
one() {
  local name=$1 reason wire_from model_from
  if ! reason=$(can_run "$name"); then
    if [[ $require == true ]]; then
      echo "FAILED  $name: $reason" && failed=$((failed + 1))
    else
      echo "skipped $name: $reason" && skipped=$((skipped + 1))
    fi
    return
  fi
  wire_from=$(log_lines "$WIRE") model_from=$(log_lines "$MODEL_LOG")
  home_for "$HOSTS_DIR/last/$name"
  (
    . "$here/hosts/$name.sh"
    setup
    sign_in
    run 'SCRIPT:[["create_entry",{"title":"By a host","content":"A scripted model wrote this."}],["list_entries",{"limit":2}]]'
  ) >"$WORK/output" 2>&1
  tail -n "+$((wire_from + 1))" "$WIRE" >"$WORK/wire.jsonl"
  tail -n "+$((model_from + 1))" "$MODEL_LOG" >"$WORK/model.jsonl"
  if "$NODE" "$here/support/verdict.mjs" "$name" "$WORK"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
  fi
}

if [[ $install == true ]]; then
  missing=()
  for name in "${names[@]}"; do is_installed "$name" || missing+=("$name"); done
  [[ ${#missing[@]} -eq 0 ]] || "$here/install.sh" "${missing[@]}" || true
fi
open_session
for name in "${names[@]}"; do one "$name"; done
echo
[[ $skipped -eq 0 ]] || echo "$skipped skipped"
echo "$passed passed, $failed failed"
[[ $failed -eq 0 && ($passed -gt 0 || $require == false) ]]

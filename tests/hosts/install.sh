#!/usr/bin/env bash
# Installs hosts, in the versions with which they were tried last, from npm and PyPI.
#
#   tests/hosts/install.sh [HOST...]
#
# Without a name it installs all of them, about 4 GB. HOSTS_DIR is the folder that they go to, target/hosts by default. Many of
# them need Node.js 22.19 or newer; where the machine's is older, one is installed there as well. Python has to be 3.11 or newer.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/support/folders.sh"

if [[ ${1:-} == -* ]]; then
  sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
  [[ $1 == --help || $1 == -h ]] && exit 0
  exit 64
fi

# from_npm HOST PACKAGE...
from_npm() {
  local folder=$HOSTS_DIR/npm/$1
  shift
  mkdir -p "$folder"
  [[ -f $folder/package.json ]] || echo '{"private":true}' >"$folder/package.json"
  (cd "$folder" && PATH=$(dirname "$(node_program)"):$PATH npm install --silent --no-audit --no-fund --save-exact "$@")
}

# from_pypi HOST PACKAGE...
from_pypi() {
  local folder=$HOSTS_DIR/python/$1
  shift
  python3 -m venv "$folder"
  "$folder/bin/pip" install --quiet --disable-pip-version-check "$@"
}

install() {
  case $1 in
    node) from_npm node node@22.23.3 ;;
    codex) from_npm codex @openai/codex@0.171.0 ;;
    claude-code) from_npm claude-code @anthropic-ai/claude-code@2.1.332 ;;
    gemini) from_npm gemini @google/gemini-cli@0.61.0 ;;
    qwen) from_npm qwen @qwen-code/qwen-code@0.24.4 ;;
    opencode) from_npm opencode opencode-ai@1.18.33 ;;
    copilot) from_npm copilot @github/copilot@1.0.102 ;;
    continue) from_npm continue @continuedev/cli@1.5.47 ;;
    mcporter) from_npm mcporter mcporter@0.12.3 ;;
    mcp-remote) from_npm mcp-remote mcp-remote@0.15.1 ;;
    inspector) from_npm inspector @modelcontextprotocol/inspector@2.12.0 ;;
    inspector-web) from_npm inspector-web @modelcontextprotocol/inspector@2.12.0 playwright-core@1.56.1 ;;
    aisdk) from_npm aisdk @ai-sdk/mcp@2.0.99 ai@7.0.173 @ai-sdk/openai-compatible@3.0.92 ;;
    langchainjs) from_npm langchainjs @langchain/mcp-adapters@1.1.4 @langchain/openai@1.6.0 \
      @langchain/langgraph@1.7.3 @langchain/core@1.4.0 ;;
    mastra) from_npm mastra @mastra/mcp@2.0.0 @mastra/core@1.71.0 @ai-sdk/openai-compatible@3.0.92 ;;
    openai-agents-js) from_npm openai-agents-js @openai/agents@0.20.0 zod@4.6.7 ;;
    fastmcp) from_pypi fastmcp fastmcp==4.1.6 ;;
    openai-agents) from_pypi openai-agents openai-agents==0.24.0 ;;
    pydantic-ai) from_pypi pydantic-ai 'pydantic-ai-slim[mcp,openai]==2.68.0' ;;
    langchain) from_pypi langchain langchain-mcp-adapters==0.3.2 langgraph==1.2.24 langchain-openai==1.7.4 ;;
    adk) from_pypi adk 'google-adk[mcp]==2.13.0' mcp==2.3.0 ;;
    *) echo "there is no host $1; there are: ${HOSTS[*]}" >&2 && return 64 ;;
  esac
}

names=("$@")
[[ ${#names[@]} -gt 0 ]] || names=("${HOSTS[@]}")
mkdir -p "$HOSTS_DIR"
if ! is_new_enough node && ! is_new_enough "$(node_program)"; then install node; fi

failed=0
for name in "${names[@]}"; do
  if install "$name" >"$HOSTS_DIR/install.log" 2>&1; then
    echo "installed $name"
  else
    echo "FAILED    $name: $(grep -v '^$' "$HOSTS_DIR/install.log" | tail -n 1)"
    failed=$((failed + 1))
  fi
done
[[ $failed -eq 0 ]]

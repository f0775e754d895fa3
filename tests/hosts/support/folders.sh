# Where hosts are, and the Node.js that they run with. Sourced; the caller has set `here` to tests/hosts.

root=$(cd "$here/../.." && pwd)
HOSTS_DIR=${HOSTS_DIR:-${CARGO_TARGET_DIR:-$root/target}/hosts}

HOSTS=(codex claude-code gemini copilot opencode qwen continue mcporter mcp-remote inspector inspector-web fastmcp
  openai-agents langchain pydantic-ai adk aisdk langchainjs mastra openai-agents-js)

is_new_enough() {
  "$1" -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 22 || (a == 22 && b >= 19) ? 0 : 1)' 2>/dev/null
}

# The machine's Node.js, or else the one that install.sh installs.
node_program() {
  if is_new_enough node; then command -v node; else echo "$HOSTS_DIR/npm/node/node_modules/node/bin/node"; fi
}

# is_installed HOST
is_installed() {
  [[ -d $HOSTS_DIR/npm/$1/node_modules || -x $HOSTS_DIR/python/$1/bin/python ]]
}

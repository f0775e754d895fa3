# Frameworks for agents: a program in agents/ each, which signs in when it runs. Sourced by their files in hosts/.

setup() { :; }
sign_in() { :; }

agent_environment() {
  HOST_ENV=(MCP_URL="$MCP" MODEL="$MODEL" SCRIPT="$1" TOKEN="$(token)" CALLBACK_PORT="$((PORT + 36))" OPENAI_API_KEY=none
    GOOGLE_API_KEY=none GOOGLE_GEMINI_BASE_URL="$MODEL" PYTHONDONTWRITEBYTECODE=1 MODULES="${2:-}")
}

# agent_in_python HOST FILE SCRIPT
agent_in_python() {
  agent_environment "$3"
  host "$HOSTS_DIR/python/$1/bin/python" -W ignore "$here/agents/$2"
}

# agent_in_javascript HOST SCRIPT
agent_in_javascript() {
  agent_environment "$2" "$HOSTS_DIR/npm/$1/node_modules"
  host "$NODE" "$here/agents/$1.mjs"
}

# Claude Code
setup() {
  program=$(npm_program claude-code claude)
  HOST_ENV=(ANTHROPIC_BASE_URL="$MODEL" ANTHROPIC_API_KEY=none DISABLE_TELEMETRY=1 DISABLE_ERROR_REPORTING=1
    DISABLE_AUTOUPDATER=1 CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 ENABLE_TOOL_SEARCH=false)
  host "$program" --version
  host "$program" mcp add --transport http epicme "$MCP"
}
sign_in() {
  LIMIT=60 host_on_terminal "$program" mcp login epicme
  LIMIT=60 host "$program" mcp list
}
run() {
  host "$program" -p "$1" --model claude-sonnet-4-5 --allowedTools mcp__epicme --output-format stream-json --verbose
}

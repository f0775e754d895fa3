# GitHub Copilot CLI, without an account at GitHub
setup() {
  program=$(npm_program copilot copilot)
  HOST_ENV=(COPILOT_OFFLINE=true COPILOT_AUTO_UPDATE=false COPILOT_PROVIDER_BASE_URL="$MODEL/v1"
    COPILOT_PROVIDER_API_KEY=none COPILOT_MODEL=scripted COPILOT_PROVIDER_MAX_PROMPT_TOKENS=100000
    COPILOT_PROVIDER_MAX_OUTPUT_TOKENS=1000)
  host "$program" --version
  host "$program" mcp add --transport http epicme "$MCP"
}
sign_in() {
  : >"$WORK/browse.log"
  terminal "$program"
  await 60 shows 'Do you trust' && press Enter
  await 30 shows 'requires authentication|for shortcuts|/ commands|Type @' || true
  await 15 grep -q ENDS "$WORK/browse.log" || { type_line '/mcp auth epicme'; await 30 grep -q ENDS "$WORK/browse.log"; }
  await 20 shows '[Cc]onnected|[Ss]uccess'
  close_terminal
}
# Where its registration is gone: it goes on with the old one otherwise.
sign_in_anew() {
  host "$program" mcp remove epicme
  host "$program" mcp add --transport http epicme "$MCP"
  sign_in
}
# It asks the model before it is connected: the first call is of a tool of its own, and waits for that.
run() { host "$program" -p "${1/SCRIPT:\[/SCRIPT:[[\"list_bash\",{\},8000],}" --allow-all --output-format json; }

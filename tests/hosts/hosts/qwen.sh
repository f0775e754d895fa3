# Qwen Code. It opens the browser by itself when it starts.
setup() {
  program=$(npm_program qwen qwen)
  HOST_ENV=(OPENAI_API_KEY=none OPENAI_BASE_URL="$MODEL/v1" OPENAI_MODEL=scripted COLORTERM=truecolor)
  mkdir -p "$WORK/home/.qwen"
  cat >"$WORK/home/.qwen/settings.json" <<'JSON'
{"security":{"auth":{"selectedType":"openai"},"folderTrust":{"enabled":false}},
 "privacy":{"usageStatisticsEnabled":false},"general":{"enableAutoUpdate":false,"disableAutoUpdate":true}}
JSON
  host "$program" --version
  host "$program" mcp add --transport http epicme "$MCP"
}
sign_in() {
  touch "$WORK/began"
  : >"$WORK/browse.log"
  terminal "$program"
  await 90 shows 'Type your message'
  await 60 grep -q ENDS "$WORK/browse.log"
  # Tokens are stored a moment after the callback has been answered.
  await 20 test "$WORK/home/.qwen/mcp-oauth-tokens.json" -nt "$WORK/began"
  close_terminal
}
# Its tools are found by a search and called through another tool.
run() {
  local found='["tool_search",{"query":"write a journal entry"}]' script
  script=$(sed -E 's/\["([a-z_]+)",(\{[^}]*\})/["tool_call",{"name":"mcp__epicme__\1","arguments":\2}/g' <<<"$1")
  host "$program" -p "${script/SCRIPT:\[/SCRIPT:[$found,}" --approval-mode yolo
}

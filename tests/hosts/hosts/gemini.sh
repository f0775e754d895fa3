# Google Gemini CLI. Its sign-in is in its terminal interface alone.
# It refreshes a token so many seconds before its end.
early=300
setup() {
  program=$(npm_program gemini gemini)
  HOST_ENV=(GEMINI_API_KEY=none GOOGLE_GEMINI_BASE_URL="$MODEL" COLORTERM=truecolor)
  mkdir -p "$WORK/home/.gemini"
  cat >"$WORK/home/.gemini/settings.json" <<'JSON'
{"security":{"auth":{"selectedType":"gemini-api-key"},"folderTrust":{"enabled":false}},
 "privacy":{"usageStatisticsEnabled":false},"general":{"enableAutoUpdate":false}}
JSON
  host "$program" --version
  host "$program" mcp add -s user --transport http epicme "$MCP"
}
# What is typed while it still begins may wait for ever, and so does what is typed after it: then it is started again.
sign_in() {
  : >"$WORK/browse.log"
  for _ in 1 2 3; do
    terminal "$program"
    await 90 shows 'Type your message'
    sleep 2
    type_line '/mcp auth epicme'
    await 20 shows 'Starting OAuth|Do you want to continue' && break
    close_terminal
  done
  await 30 answered
  await 60 shows 'Successfully authenticated and reloaded|[Ee]rror'
  close_terminal
}
# The question whether to open the browser.
answered() {
  shows 'Do you want to continue' && press Enter && sleep 1
  [[ -s $WORK/browse.log ]]
}
run() { host "$program" -p "$1" -m gemini-2.5-pro --approval-mode yolo --output-format json; }

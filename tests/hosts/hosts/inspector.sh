# MCP Inspector, as a program of the command line. --strict is its opinion on the tools' schemas.
setup() {
  program=$(npm_program inspector mcp-inspector)
  HOST_ENV=(MCP_AUTO_OPEN_ENABLED=true)
  host "$program" --version
}
inspect() { host "$program" --cli --transport http --server-url "$MCP" "$@"; }
# It signs in at the first of these.
sign_in() { :; }
run() {
  inspect --method tools/list --strict >"$WORK/tools" 2>"$WORK/strict"
  # It says nothing where it finds nothing.
  grep -q '"create_entry"' "$WORK/tools" || echo '--strict was not asked' >"$WORK/wrong"
  grep -E '^(Error|Warning): tool|^  (Path|Issue)' "$WORK/strict" >>"$WORK/wrong"
  inspect --method tools/call --tool-name create_entry --tool-arg title='By the Inspector' content='A host.'
  inspect --method tools/call --tool-name list_entries --tool-arg limit=2
  inspect --method resources/list
  inspect --method resources/templates/list
  inspect --method resources/read --uri epicme://users/current
  inspect --method prompts/list
  inspect --method prompts/get --prompt-name summarize_entries
}

# mcporter
setup() {
  program=$(npm_program mcporter mcporter)
  mkdir -p "$WORK/home/.mcporter"
  echo "{\"mcpServers\":{\"epicme\":{\"url\":\"$MCP\",\"auth\":\"oauth\"}}}" >"$WORK/home/.mcporter/mcporter.json"
  host "$program" --version
}
sign_in() { host "$program" auth epicme; }
run() {
  host "$program" list epicme --schema
  host "$program" call epicme.create_entry title='By mcporter' content='A host.'
  host "$program" call epicme.list_entries limit=2
  host "$program" resource epicme epicme://tags
}

# fastmcp (Python)
setup() {
  program=$(python_program fastmcp fastmcp)
  host "$program" version
}
# It signs in at the first of these.
sign_in() { :; }
run() {
  host "$program" list "$MCP" --auth oauth --resources --prompts
  host "$program" call "$MCP" create_entry --auth oauth title='By fastmcp' content='A host.'
  host "$program" call "$MCP" list_entries --auth oauth limit=2
}

# MCP Inspector, its web page, in Chromium
setup() {
  program=$(npm_program inspector-web mcp-inspector)
  HOST_ENV=(MCP_AUTO_OPEN_ENABLED=false CLIENT_PORT="$((PORT + 38))" HOST=127.0.0.1)
  host "$program" --version
}
# The page signs in when it connects.
sign_in() { :; }
run() {
  local page
  host_in_background "$program" --transport http --server-url "$MCP" >"$WORK/printed" 2>&1
  await 60 grep -qE 'http://[^ ]+TOKEN=' "$WORK/printed"
  page=$(grep -oE 'http://[^ ]+TOKEN=[0-9a-f]+' "$WORK/printed" | head -n 1)
  HOST_ENV=(PAGE="$page" MODULES="$HOSTS_DIR/npm/inspector-web/node_modules" CHROMIUM="${CHROMIUM:-/usr/bin/chromium}"
    SCREENSHOTS="$WORK")
  host "$NODE" "$here/agents/inspector-web.mjs"
  end_host
}

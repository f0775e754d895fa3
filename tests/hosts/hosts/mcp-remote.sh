# mcp-remote, for hosts without HTTP: JSON-RPC on its standard input and output
setup() { program=$(npm_program mcp-remote mcp-remote); }
# It signs in when it is started.
sign_in() { :; }
run() {
  mkfifo "$WORK/input"
  HOST_STDIN=$WORK/input host_in_background "$program" "$MCP" "$((PORT + 34))" --allow-http --transport http-only \
    >"$WORK/answers" 2>"$WORK/said"
  exec 3>"$WORK/input"
  ask() { # ID METHOD PARAMS
    echo "{\"jsonrpc\":\"2.0\",\"id\":$1,\"method\":\"$2\",\"params\":$3}" >&3
    await 60 grep -qE "\"id\":$1\b" "$WORK/answers"
  }
  ask 1 initialize '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"a host","version":"1"}}'
  echo '{"jsonrpc":"2.0","method":"notifications/initialized"}' >&3
  ask 2 tools/list '{}'
  ask 3 tools/call '{"name":"create_entry","arguments":{"title":"By mcp-remote","content":"A host."}}'
  ask 4 tools/call '{"name":"list_entries","arguments":{"limit":2}}'
  exec 3>&-
  end_host
  cat "$WORK/said" "$WORK/answers"
}

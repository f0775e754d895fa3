# Continue CLI. It has no OAuth for MCP servers: it gets a token in a header.
setup() {
  program=$(npm_program continue cn)
  HOST_ENV=(CONTINUE_TELEMETRY_ENABLED=0)
  mkdir -p "$WORK/home/.continue"
  host "$program" --version
}
sign_in() {
  cat >"$WORK/home/.continue/config.yaml" <<YAML
name: tests
version: 0.0.1
schema: v1
models: [{name: scripted, provider: openai, model: scripted, apiKey: none, apiBase: "$MODEL/v1", capabilities: [tool_use]}]
mcpServers:
  - name: epicme
    type: streamable-http
    url: $MCP
    requestOptions:
      headers: {Authorization: "Bearer $(token)"}
YAML
}
run() { host "$program" --config "$WORK/home/.continue/config.yaml" --auto -p "$1"; }

# opencode
setup() {
  program=$(npm_program opencode opencode)
  HOST_ENV=(OPENCODE_DISABLE_AUTOUPDATE=1 OPENCODE_DISABLE_MODELS_FETCH=1 OPENCODE_DISABLE_LSP_DOWNLOAD=1)
  cat >"$WORK/project/opencode.json" <<JSON
{"\$schema": "https://opencode.ai/config.json", "autoupdate": false, "share": "disabled",
 "model": "scripted/scripted", "small_model": "scripted/scripted", "permission": {"*": "allow"},
 "provider": {"scripted": {"npm": "@ai-sdk/openai-compatible", "name": "Scripted",
   "options": {"baseURL": "$MODEL/v1", "apiKey": "none"},
   "models": {"scripted": {"name": "scripted", "tool_call": true, "limit": {"context": 100000, "output": 1000}}}}},
 "mcp": {"epicme": {"type": "remote", "url": "$MCP", "enabled": true}}}
JSON
  host "$program" --version
}
sign_in() {
  LIMIT=180 host_on_terminal "$program" mcp auth epicme
}
run() { host "$program" run --format json "$1"; }

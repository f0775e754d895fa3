# OpenAI Codex CLI
setup() {
  program=$(npm_program codex codex)
  mkdir -p "$WORK/home/.codex"
  cat >"$WORK/home/.codex/config.toml" <<TOML
model_provider = "scripted"
model = "scripted"

[model_providers.scripted]
name = "scripted"
base_url = "$MODEL/v1"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
TOML
  host "$program" --version
}
sign_in() {
  if [[ -z ${ADDED:-} ]]; then LIMIT=60 host "$program" mcp add epicme --url "$MCP"; else LIMIT=60 host "$program" mcp login epicme; fi
  ADDED=yes
  host "$program" mcp list
}
run() { host "$program" exec --skip-git-repo-check --dangerously-bypass-approvals-and-sandbox --json "$1"; }

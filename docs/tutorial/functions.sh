# Functions for the tutorial, for bash and zsh. Load them with `. docs/tutorial/functions.sh`.

: "${EPICME:=http://127.0.0.1:8787}"
: "${ISSUER:=http://127.0.0.1:7788}"

# token USER [SCOPES [SECONDS]]
# Prints an access token of a demo user: with all scopes and for an hour, unless you say otherwise.
token() {
  local scopes='user:read entries:read entries:write tags:read tags:write'
  [ -z "${2-}" ] || scopes=$2
  curl -sS "$ISSUER/dev/token" -H 'content-type: application/json' \
    -d "{\"user\":\"$1\",\"scope\":\"$scopes\",\"expires_in\":${3:-3600}}" |
    sed 's/.*"access_token":"\([^"]*\)".*/\1/'
}

# mcp METHOD NAME PARAMETERS
# Sends one MCP request with the token in $TOKEN. PARAMETERS are members of `params` in JSON, with a comma at the end.
# Keeps the body of the response for `answer`. Prints the status, what the challenge asks for, and the message in the body.
mcp() {
  local reply
  reply=$(curl -sSi "$EPICME/mcp" -H "authorization: Bearer $TOKEN" \
    -H 'content-type: application/json' -H 'accept: application/json, text/event-stream' \
    -H 'mcp-protocol-version: 2026-07-28' -H "mcp-method: $1" -H "mcp-name: $2" \
    -d '{"jsonrpc":"2.0","id":1,"method":"'"$1"'","params":{'"$3"'"_meta":{
      "io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}')
  ANSWER=$(printf '%s\n' "$reply" | tr -d '\r' | sed '1,/^$/d')
  printf '%s\n' "$reply" | tr -d '\r' | sed '/^$/q' |
    sed -n -e '/^HTTP/p' -e 's/, DPoP .*//' -e '/^www-authenticate/p' -e '/^retry-after/p'
  printf '%s\n' "$ANSWER" | sed -n -e 's/.*"message":"\([^"]*\)".*/\1/p' -e 's/.*"content":\[{"type":"text","text":"\([^"]*\)".*/\1/p'
}

# call TOOL [ARGUMENTS]
# Calls a tool.
call() {
  local arguments='{}'
  [ -z "${2-}" ] || arguments=$2
  mcp tools/call "$1" '"name":"'"$1"'","arguments":'"$arguments"','
}

# answer
# Prints the whole body of the last response.
answer() { printf '%s\n' "$ANSWER"; }

# fault ENDPOINT MODE [MILLISECONDS]
# Lets an endpoint of the mock authorization server fail: metadata, token or introspection. The mode `none` ends it. It waits that
# long first.
fault() {
  curl -sSf -o /dev/null -X PUT "$ISSUER/admin/faults" -H 'content-type: application/json' \
    -d "{\"$1\":{\"mode\":\"$2\",\"delay_ms\":${3:-0}}}" && echo "$1: $2"
}

# listen FILE URI
# Opens a stream of changes of one resource with the token in $TOKEN. What arrives is written to FILE, in the background.
listen() {
  (curl -sSN "$EPICME/mcp" -H "authorization: Bearer $TOKEN" \
    -H 'content-type: application/json' -H 'accept: application/json, text/event-stream' \
    -H 'mcp-protocol-version: 2026-07-28' -H 'mcp-method: subscriptions/listen' \
    -d '{"jsonrpc":"2.0","id":"changes","method":"subscriptions/listen","params":{
      "notifications":{"resourceSubscriptions":["'"$2"'"]},"_meta":{
      "io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}' >"$1" &)
  wait_for acknowledged "$1"
}

# wait_for TEXT FILE
# Waits for a text in a file, for ten seconds at most.
wait_for() {
  local left=100
  until grep -qs -- "$1" "$2"; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || { echo "no $1 in $2"; return 1; }
    sleep 0.1
  done
}

# titles
# Prints the titles of the entries in the last response.
titles() { answer | sed 's/"_meta".*//' | grep -o '"title":"[^"]*"'; }

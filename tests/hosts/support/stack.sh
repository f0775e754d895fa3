# The servers that hosts meet, and how a host is run. Sourced.
#
# The caller sets: here (tests/hosts), EPICME, MOCK_AUTH, NODE, HOSTS_DIR, PORT (the first of 40), STACK (a folder).

MCP=http://127.0.0.1:$((PORT + 20))/mcp
AUTH=http://127.0.0.1:$((PORT + 21))
MODEL=http://127.0.0.1:$((PORT + 30))
mock_address=127.0.0.1:$((PORT + 11))
server_address=127.0.0.1:$((PORT + 10))
WIRE=$STACK/wire.jsonl
MODEL_LOG=$STACK/model.jsonl

. "$here/support/programs.sh"

# mock_up [SECONDS that access tokens live]
mock_up() {
  start mock MOCK_AUTH_BIND="$mock_address" MOCK_AUTH_ISSUER="$AUTH" MOCK_AUTH_INTROSPECTION_CLIENT_SECRET=secret \
    MOCK_AUTH_DEFAULT_RESOURCE="$MCP" MOCK_AUTH_ACCESS_TOKEN_LIFETIME="${1:-3600}" MOCK_AUTH_CLIENT_DOCUMENTS=off \
    MOCK_AUTH_STATE="$STACK/mock-state" "$MOCK_AUTH"
  await 30 curl -fsS "http://$mock_address/healthcheck"
}

# server_up [NAME=VALUE...]: with keys of its own beside those of the stack
server_up() {
  start server DATABASE_URL="$(cat "$STACK/database")" EPICME_BIND="$server_address" EPICME_PUBLIC_URL="${MCP%/mcp}" \
    EPICME_ISSUER="$AUTH" EPICME_INTROSPECTION_CLIENT_ID=epicme EPICME_INTROSPECTION_CLIENT_SECRET=secret \
    EPICME_REQUEST_STATE_KEY_FILE="$STACK/request-state-key" EPICME_METRICS_BIND=off EPICME_LOG=info "$@" "$EPICME" serve
  await 60 curl -fsS -H "Host: 127.0.0.1:$((PORT + 20))" "http://$server_address/.well-known/oauth-protected-resource/mcp" ||
    { tail -n 5 "$STACK/server.log"; return 1; }
}

mock_restart() { stop mock && mock_up "$@"; }
server_restart() { stop server && server_up "$@"; }

# fault JSON: of the mock's /admin/faults; {} for none
fault() {
  curl -fsS -o /dev/null -X PUT "http://$mock_address/admin/faults" -H 'content-type: application/json' -d "$1"
}

# The journal is the private PostgreSQL of `epicme dev`; server and authorization server are programs of their own, so that
# each can be restarted alone. What passes between them and a host goes through wire.mjs.
stack_up() {
  start dev "$EPICME" dev --ephemeral --bind "127.0.0.1:$PORT" --auth-bind "127.0.0.1:$((PORT + 1))"
  await 60 grep -qE 'postgresql://' "$STACK/dev.log" || { tail -n 5 "$STACK/dev.log"; return 1; }
  grep -oE 'postgresql://[^ ]+' "$STACK/dev.log" | head -n 1 >"$STACK/database"
  head -c 32 /dev/urandom | base64 >"$STACK/request-state-key"
  touch "$WIRE" "$MODEL_LOG"
  start wire "$NODE" "$here/support/wire.mjs" "$WIRE" "mcp=$((PORT + 20)):$((PORT + 10))" "auth=$((PORT + 21)):$((PORT + 11))"
  start model "$NODE" "$here/support/model.mjs" "$((PORT + 30))" "$MODEL_LOG"
  await 30 curl -fsS "$MODEL/healthcheck" && mock_up && server_up
}

stack_down() {
  local name
  for name in model server mock wire dev; do stop "$name"; done
}

# token: an access token of Ada's, for hosts that take one in a header
token() {
  curl -fsS "http://$mock_address/dev/token" -H 'content-type: application/json' -d '{"user":"ada"}' |
    sed -E 's/.*"access_token":"([^"]+)".*/\1/'
}

log_lines() { wc -l <"$1"; }

# npm_program HOST NAME, python_program HOST NAME: where install.sh put it
npm_program() { echo "$HOSTS_DIR/npm/$1/node_modules/.bin/$2"; }
python_program() { echo "$HOSTS_DIR/python/$1/bin/$2"; }

# home_for FOLDER: where a host keeps what it remembers, and finds its browser
home_for() {
  WORK=$1
  rm -rf "$WORK"
  mkdir -p "$WORK/home" "$WORK/bin" "$WORK/project"
  local name
  for name in xdg-open open x-www-browser sensible-browser; do
    printf '#!/bin/sh\nexec "%s" "%s/support/browse.cjs" "$@"\n' "$NODE" "$here" >"$WORK/bin/$name"
    chmod +x "$WORK/bin/$name"
  done
  ln -s "$NODE" "$WORK/bin/node"
  HOST_ENV=()
}

# host COMMAND...: with nothing of the caller's environment, for LIMIT seconds at most (status 124)
host() {
  (
    cd "$WORK/project" &&
      env -i HOME="$WORK/home" PATH="$WORK/bin:$(dirname "$NODE"):/usr/local/bin:/usr/bin:/bin" LANG=C.UTF-8 USER=tester \
        TERM="${HOST_TERM:-dumb}" NO_COLOR=1 DISPLAY=:0 \
        XDG_CONFIG_HOME="$WORK/home/.config" XDG_DATA_HOME="$WORK/home/.local/share" \
        XDG_STATE_HOME="$WORK/home/.local/state" XDG_CACHE_HOME="$WORK/home/.cache" \
        XDG_DATA_DIRS="$WORK/none" XDG_CONFIG_DIRS="$WORK/none" \
        BROWSER="$WORK/bin/xdg-open" BROWSE_LOG="$WORK/browse.log" BROWSE_WITHOUT="${BROWSE_WITHOUT:-}" \
        "${HOST_ENV[@]}" timeout ${HOST_FOREGROUND:+--foreground} "${LIMIT:-300}" "$@" <"${HOST_STDIN:-/dev/null}"
  )
}

# host_in_background COMMAND...: until end_host
host_in_background() {
  # A process group of its own, which timeout would leave.
  set -m
  HOST_FOREGROUND=1 host "$@" &
  background=$!
  set +m
}
end_host() {
  kill -- "-$background" 2>/dev/null
  wait "$background"
}

# host_on_terminal COMMAND...: for what insists on a terminal
host_on_terminal() {
  local command
  command=$(printf '%q ' "$@")
  host script -qefc "stty cols 200 rows 50; $command" /dev/null | tr -d '\r' |
    sed -E 's/\x1b\[[0-9;?]*[a-zA-Z]//g; s/\x1b\][^\x07]*\x07//g'
}

# terminal COMMAND...: a host in tmux, to be typed to
terminal() {
  {
    printf 'WORK=%q NODE=%q here=%q LIMIT=%q HOST_TERM=xterm-256color HOST_FOREGROUND=1 HOST_STDIN=/dev/tty\n' \
      "$WORK" "$NODE" "$here" "${LIMIT:-300}"
    printf 'BROWSE_WITHOUT=%q\n' "${BROWSE_WITHOUT:-}"
    echo "HOST_ENV=(${HOST_ENV[*]@Q})"
    declare -f host
    printf 'host'
    printf ' %q' "$@"
    printf '\n'
  } >"$WORK/terminal.sh"
  in_tmux -f /dev/null new-session -d -x 180 -y 50 "bash $WORK/terminal.sh"
}
in_tmux() { tmux -L "hosts-$PORT" "$@"; }
screen() { in_tmux capture-pane -p | sed -E 's/[[:space:]]+$//' | cat -s; }
shows() { screen | grep -qE "$1"; }
type_line() {
  in_tmux send-keys -l "$1"
  await 10 shows "${1:0:20}"
  in_tmux send-keys Enter
}
press() { in_tmux send-keys "$1"; }
close_terminal() {
  screen
  in_tmux kill-server
}

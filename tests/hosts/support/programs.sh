# Programs in the background, with their logs and process ids in STACK. Sourced.

# await SECONDS COMMAND...: until it succeeds
await() {
  local until=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS >= until)); then
      echo "waited in vain for: $*" >&2
      return 1
    fi
    sleep 0.1
  done
}

# start NAME COMMAND...: in the background, with a log
start() {
  local name=$1
  shift
  setsid env -i PATH="$PATH" HOME="$STACK" "$@" >>"$STACK/$name.log" 2>&1 &
  echo $! >"$STACK/$name.pid"
}

# stop NAME: asks it to end, and makes it after 15 seconds
stop() {
  local process
  process=$(cat "$STACK/$1.pid" 2>/dev/null) || return 0
  rm -f "$STACK/$1.pid"
  kill -INT "$process" 2>/dev/null || return 0
  await 15 ended "$process" || kill -KILL "$process"
}

ended() { ! kill -0 "$1" 2>/dev/null; }

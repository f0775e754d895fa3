# The programs and the stack of a run. Sourced by run.sh and troubles.sh after folders.sh.

PORT=${HOSTS_PORT:-20100}
NODE=$(node_program)
STACK=$HOSTS_DIR/stack-$PORT
. "$here/support/stack.sh"

# can_run HOST: or prints why not
can_run() {
  is_installed "$1" || { echo 'is not installed (tests/hosts/install.sh)' && return 1; }
  is_new_enough "$NODE" || { echo 'needs Node.js 22.19 or newer (tests/hosts/install.sh node)' && return 1; }
  case $1 in
    gemini | qwen | copilot) command -v tmux >/dev/null || { echo 'needs tmux' && return 1; } ;;
    claude-code | opencode) command -v script >/dev/null || { echo 'needs script (util-linux)' && return 1; } ;;
    inspector-web) [[ -x ${CHROMIUM:-/usr/bin/chromium} ]] || { echo 'needs Chromium (CHROMIUM names one)' && return 1; } ;;
  esac
}

# Builds what is to be tested, unless it is named, and starts the stack; it is stopped when the shell ends.
open_session() {
  if [[ -z ${EPICME:-} || -z ${MOCK_AUTH:-} ]]; then
    cargo build --quiet --manifest-path "$root/Cargo.toml" --workspace --bins || exit 1
    EPICME=${EPICME:-${CARGO_TARGET_DIR:-$root/target}/debug/epicme}
    MOCK_AUTH=${MOCK_AUTH:-${CARGO_TARGET_DIR:-$root/target}/debug/mock-auth}
  fi
  EPICME=$(realpath "$EPICME") MOCK_AUTH=$(realpath "$MOCK_AUTH")
  rm -rf "$STACK" && mkdir -p "$STACK"
  trap stack_down EXIT
  stack_up || { echo 'the servers did not start' >&2 && exit 1; }
}

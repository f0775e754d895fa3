#!/usr/bin/env bash
# Upgrades from the release before this one while it serves, and has it go on reading and writing on the new schema, alone and
# beside this one. What each of them writes the other finds, with counts that are right.
#
#   tests/upgrade/run.sh [--require]
#
# The release before is the commit that the file PREVIOUS names, built from the repository's history in the target folder, where
# most crates are built already. Without the history, python3, pg_dump or psql it is skipped; with --require, or in CI, that is a
# failure. EPICME and MOCK_AUTH name programs to test instead of those that cargo builds, PREVIOUS_EPICME one to upgrade from.
# KEEP names a folder to keep the logs in.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
require=${CI:-false}
case ${1:-} in
  "") ;;
  --require) require=true ;;
  *)
    sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 64
    ;;
esac

# Prints why nothing can be tested, and ends.
missing() {
  if [[ $require == true ]]; then
    echo "FAILED  upgrade: $1"
    echo "0 passed, 1 failed"
    exit 1
  fi
  echo "skipped upgrade: $1"
  echo "0 passed, 0 failed"
  exit 0
}

for needed in python3 git pg_dump psql; do
  command -v "$needed" >/dev/null || missing "needs $needed"
done
previous=$(grep -v '^#' "$here/PREVIOUS")
target=$(realpath -m "${CARGO_TARGET_DIR:-$root/target}")
built=$target/debug/epicme
kept=$target/previous/epicme-of-this-release
scratch=$(mktemp -d)

# The build of the release before puts its program where this one's is, which is put back in any case.
tidy() {
  [[ ! -e $kept ]] || mv -f "$kept" "$built"
  rm -rf "$scratch"
}
trap tidy EXIT

if [[ -z ${EPICME:-} || -z ${MOCK_AUTH:-} ]]; then
  cargo build --quiet --locked --manifest-path "$root/Cargo.toml" --bins
  EPICME=$built MOCK_AUTH=$target/debug/mock-auth
fi
cp "$EPICME" "$scratch/epicme"

if [[ -z ${PREVIOUS_EPICME:-} ]]; then
  PREVIOUS_EPICME=$target/previous/epicme-$previous
fi
if [[ ! -x $PREVIOUS_EPICME ]]; then
  git -C "$root" cat-file -e "$previous^{commit}" 2>/dev/null ||
    missing "the commit $previous is not in this repository's history (git fetch --unshallow)"
  echo "builds the release before, ${previous:0:7}"
  source=$target/previous/source
  rm -rf "$source"
  mkdir -p "$source"
  git -C "$root" archive "$previous" | tar -x -C "$source"
  # Under another version. Cargo tells the crates of two workspaces apart by nothing else, and would take this release's for those.
  sed -i '/^\[workspace.package\]/,/^$/s/^version = "\([^"]*\)"/version = "\1+previous"/' "$source/Cargo.toml"
  [[ ! -e $built ]] || ln -f "$built" "$kept"
  cargo build --quiet --manifest-path "$source/Cargo.toml" --target-dir "$target" \
    -p epicme --no-default-features --bin epicme
  mv "$built" "$PREVIOUS_EPICME"
fi
export EPICME=$scratch/epicme MOCK_AUTH PREVIOUS_EPICME PYTHONDONTWRITEBYTECODE=1
status=0
python3 "$here/check.py" "$scratch" || status=$?
if [[ -n ${KEEP:-} ]]; then
  mkdir -p "$KEEP"
  cp "$scratch"/*.log "$KEEP"/
fi
exit "$status"

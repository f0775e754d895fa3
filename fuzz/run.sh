#!/usr/bin/env bash
# Fuzzes with libFuzzer, guided by coverage, on the stable compiler: two targets at a time.
#
#   fuzz/run.sh [--seconds N] [TARGET…]      (10 seconds each, all targets)
#
# New inputs that reach new code go to target/fuzz/corpus, not into the repository. An input that breaks a promise is
# written to fuzz/artifacts: mend the fault, and add the input to fuzz/corpus/TARGET, where `cargo test` tries it for ever.
# Without a C++ compiler libFuzzer cannot be built; that is said, and nothing fails.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=10
if [ "${1:-}" = --seconds ]; then
  seconds=$2
  shift 2
fi
targets=("$@")
[ $# -gt 0 ] || mapfile -t targets < <(basename -s .rs -a fuzz/fuzz_targets/*.rs)

if ! command -v "${CXX:-c++}" >/dev/null; then
  echo "No C++ compiler: libFuzzer cannot be built. The corpus alone is tried."
  exec cargo test --locked --package epicme-fuzz
fi

# What `cargo fuzz --sanitizer none` sets. With `--target` it applies to the programs and not to build scripts.
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Cdebug-assertions -Coverflow-checks"
host=$(rustc -vV | sed -n 's/^host: //p')
built=${CARGO_TARGET_DIR:-target}/fuzz
cargo build --locked --quiet --target-dir "$built" --target "$host" --profile fuzz --package epicme-fuzz --features libfuzzer --bins

mkdir -p fuzz/artifacts
fuzz_one() {
  local target=$1 log=$built/$1.log status=0
  mkdir -p "$built/corpus/$target"
  # A second for one input would be a way to keep the server busy.
  "$built/$host/fuzz/$target" -max_total_time="$seconds" -max_len=8192 -timeout=1 -rss_limit_mb=1024 \
    -print_final_stats=1 -artifact_prefix="fuzz/artifacts/$target-" \
    "$built/corpus/$target" "fuzz/corpus/$target" >"$log" 2>&1 || status=$?
  if [ "$status" -ne 0 ]; then
    tail -n 60 "$log"
    echo "FAILED: $target: $(sed -n 's/.*Test unit written to //p' "$log")"
    return 1
  fi
  printf '%-16s %10s executions, %6s inputs reach %s places\n' "$target" \
    "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
    "$(find "$built/corpus/$target" "fuzz/corpus/$target" -type f | wc -l)" \
    "$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -1)"
}

failed=0
for ((first = 0; first < ${#targets[@]}; first += 2)); do
  workers=()
  for target in "${targets[@]:first:2}"; do
    fuzz_one "$target" &
    workers+=($!)
  done
  for worker in "${workers[@]}"; do
    wait "$worker" || failed=$((failed + 1))
  done
done
echo "$((${#targets[@]} - failed)) passed, $failed failed"
[ "$failed" -eq 0 ]

#!/usr/bin/env bash
# Runs the suites again and again to find what fails only sometimes: scripts/flake.sh [runs] [files or folders ...]
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-20}
shift || true
for run in $(seq "$runs"); do
  output=$(npx vitest run "$@" 2>&1) || { printf '%s\n\nrun %s of %s failed\n' "$output" "$run" "$runs"; exit 1; }
  printf 'run %s of %s: %s\n' "$run" "$runs" "$(tail -n 1 <<<"$output")"
done

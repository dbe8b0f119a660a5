#!/usr/bin/env bash
# What the way from Swift into the library costs (docs/PERFORMANCE.md, "The bindings"): optimised Swift on the optimised
# library of this machine, in the chroot of scripts/swift-chroot.sh. Wants an idle machine.
#   swift-latencies.sh [MODEL]
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root"
export SOTTO_LATENCIES=1 SOTTO_LATENCIES_MODEL
SOTTO_LATENCIES_MODEL="$(realpath "${1:-core/starter/models/speech/starter.en.sotto}")"
target="${CARGO_TARGET_DIR:-$root/target}"
cargo xtask bindings
cargo build --locked --release -p sotto-ffi
scripts/swift-chroot.sh run -C ios -b "$root" -b "$target/release" -b "$(dirname "$SOTTO_LATENCIES_MODEL")" \
    -e SOTTO_LATENCIES -e SOTTO_LATENCIES_MODEL -- \
    swift test -c release --filter LatencyTests \
    -Xlinker "-L$target/release" -Xlinker -rpath -Xlinker "$target/release" \
    | grep -E ': median|error|passed|failed'

#!/usr/bin/env bash
# Builds the command line tool, then shows what Sotto does on the models that ship with the repository. Offline but for
# the compiler and the crates that the first build fetches. Arguments go to `sotto demo`.
set -euo pipefail

case "${1:-}" in
    -h | --help)
        echo "Usage: scripts/demo.sh [ARGUMENTS OF sotto demo]"
        echo "Builds sotto (under five minutes on two cores the first time), then runs \`sotto demo\`."
        exit 0
        ;;
esac

# shellcheck source=scripts/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$root"

echo "sotto demo, 1 of 2: building the command line tool (a few minutes the first time)"
ensure_toolchain
run cargo build --locked --release -p sotto-cli
echo "Built in $(minutes $SECONDS)."

echo
echo "sotto demo, 2 of 2: running it"
run "$target_dir/release/sotto" demo "$@"

echo
echo "sotto: demo finished ($(minutes $SECONDS) in all). Try it on a recording of yours:"
echo "    $target_dir/release/sotto transcribe --help"

#!/usr/bin/env bash
# Builds all fuzz targets once, then runs them for a given time, several at a time. See --help.
set -uo pipefail

usage() {
    cat <<'END'
Usage: scripts/fuzz.sh [--seconds N] [--jobs N] [--dry-run] [TARGET…]

Fuzzes the named targets of core/fuzz, or all of them.

  --seconds N   time for each target (default 600)
  --jobs N      targets that run at the same time (default 2)
  --dry-run     print the commands instead of running them
  --help        this text

Inputs found stay in core/fuzz/corpus, findings in core/fuzz/artifacts; both are local. Exit code 1 after a finding.
END
}

seconds=600
jobs=2
dry_run=false
targets=()
while [[ $# -gt 0 ]]; do
    case "$1" in
        --seconds | --jobs)
            [[ "${2:-}" =~ ^[1-9][0-9]*$ ]] || { echo "sotto: $1 needs a number" >&2; exit 2; }
            if [[ "$1" == --seconds ]]; then seconds="$2"; else jobs="$2"; fi
            shift
            ;;
        --dry-run) dry_run=true ;;
        -h | --help) usage; exit 0 ;;
        -*) echo "sotto: unknown option \`$1\`" >&2; usage >&2; exit 2 ;;
        *) targets+=("$1") ;;
    esac
    shift
done

# shellcheck source=scripts/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
ensure_toolchain
ensure_cargo_fuzz
cd "$root/core/fuzz" || exit 1

# Sanitizer builds share nothing with ordinary ones.
if [[ -n "${CARGO_TARGET_DIR:-}" ]]; then build_dir="$CARGO_TARGET_DIR/fuzz"; else build_dir="$PWD/target"; fi
host="$(rustc -vV | sed -n 's/^host: //p')"
[[ ${#targets[@]} -gt 0 ]] || mapfile -t targets < <(sed -n '/^\[\[bin\]\]/,/^name/s/^name = "\(.*\)"/\1/p' Cargo.toml)
[[ ${#targets[@]} -gt 0 ]] || fail "core/fuzz has no targets"

# The sanitizer is an unstable compiler option; RUSTC_BOOTSTRAP allows it on the pinned stable toolchain.
build=(env RUSTC_BOOTSTRAP=1 cargo fuzz build --fuzz-dir . --target-dir "$build_dir")
# One target is built alone; several are built with all the others, in one go.
[[ ${#targets[@]} -eq 1 ]] && build+=("${targets[0]}")
run "${build[@]}" || fail "the fuzz targets do not build"

# fuzz_one TARGET: status 0 when nothing was found; prints one line, and what was found.
fuzz_one() {
    local target="$1" log="artifacts/$1/log.txt" inputs=("corpus/$1") options=()
    [[ -d "seeds/$target" ]] && inputs+=("seeds/$target")
    [[ -f "dictionaries/$target.dict" ]] && options+=("-dict=dictionaries/$target.dict")
    mkdir -p "corpus/$target" "artifacts/$target"
    # No parser here needs more than a few megabytes for inputs this small: one large allocation is a finding.
    options+=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=256)
    options+=(-artifact_prefix="artifacts/$target/" -print_final_stats=1)
    # One-definition checks report the fuzzer's own runtime; cargo-fuzz turns them off as well.
    if ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_odr_violation=0" \
        "$build_dir/$host/release/$target" "${options[@]}" "${inputs[@]}" >"$log" 2>&1; then
        printf '    %-28s ok, %s inputs tried\n' "$target" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
    else
        printf '    %-28s FOUND SOMETHING; from core/fuzz/%s:\n' "$target" "$log"
        # What went wrong and the input that did it; the log has the stack.
        { grep -A 2 'panicked at' "$log"; grep -E 'ERROR:|^SUMMARY|Test unit written' "$log" || tail -n 20 "$log"; } \
            | sed 's/^/        /'
        return 1
    fi
}

echo "Fuzzing ${#targets[@]} target(s) for $seconds s each, $jobs at a time"
if "$dry_run"; then
    printf '    %s\n' "${targets[@]}"
    exit 0
fi
findings=0
running=0
for target in "${targets[@]}"; do
    if [[ $running -ge $jobs ]]; then
        wait -n || findings=$((findings + 1))
        running=$((running - 1))
    fi
    fuzz_one "$target" &
    running=$((running + 1))
done
while [[ $running -gt 0 ]]; do
    wait -n || findings=$((findings + 1))
    running=$((running - 1))
done
[[ $findings -eq 0 ]] ||
    fail "$findings of ${#targets[@]} fuzz targets found something; to replay see core/fuzz/README.md"
echo "sotto: ${#targets[@]} fuzz target(s) found nothing (${seconds} s each, $(minutes $SECONDS) in all)"

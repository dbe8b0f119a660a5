# Sourced by the scripts beside it: installs what they need where it is missing, and prints times.
# Everything is looked for first, so that a machine that has it needs neither network nor root.
# shellcheck shell=bash

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
toolchain="$(sed -n 's/^channel = "\(.*\)"/\1/p' "$root/rust-toolchain.toml")"
# The version that the fuzz recipe was tried with: `RUSTC_BOOTSTRAP=1 cargo fuzz` on the stable toolchain above.
cargo_fuzz_version=0.13.2
# Miri and sanitizers are parts of nightly toolchains only.
nightly_toolchain=nightly
dry_run="${dry_run:-false}"
# Where rustup installs itself, for shells that were started before.
export PATH="$PATH:${CARGO_HOME:-${HOME:-}/.cargo}/bin"

# Hosted and self-run CI start from a fresh clone: a target folder outside it keeps the dependencies compiled.
if [[ -n "${CI:-}" && -z "${CARGO_TARGET_DIR:-}" ]]; then
    export CARGO_TARGET_DIR="${XDG_CACHE_HOME:-$HOME/.cache}/sotto/target"
    # No clone is built twice here, so incremental state only fills the disk.
    export CARGO_INCREMENTAL=0
    # Every clone at a new path and every new dependency leaves objects behind: start over before they fill the disk.
    if [[ "$(du -sm "$CARGO_TARGET_DIR" 2>/dev/null | cut -f 1)" -gt 20000 ]]; then
        echo "Emptying $CARGO_TARGET_DIR, which has grown beyond 20 GB"
        rm -rf "${CARGO_TARGET_DIR:?}"
    fi
fi
# The scripts change folders: a relative path means the one that they were started in.
[[ -z "${CARGO_TARGET_DIR:-}" || "$CARGO_TARGET_DIR" == /* ]] || export CARGO_TARGET_DIR="$PWD/$CARGO_TARGET_DIR"
# shellcheck disable=SC2034 # for the scripts that source this
target_dir="${CARGO_TARGET_DIR:-$root/target}"

# fail MESSAGE…: says what is wrong and what to do, then leaves the step.
fail() {
    printf 'sotto: %s\n' "$@" >&2
    exit 1
}

# run COMMAND…: shows the command, then runs it; with --dry-run only shows it.
run() {
    printf '    $'
    printf ' %q' "$@"
    printf '\n'
    "$dry_run" || "$@"
}

# minutes SECONDS: 754 → 12:34
minutes() {
    printf '%02d:%02d' $(($1 / 60)) $(($1 % 60))
}

# ensure_command COMMAND PACKAGE: installs a Debian package when its command is missing.
ensure_command() {
    command -v "$1" >/dev/null && return
    if ! command -v apt-get >/dev/null; then
        fail "\`$1\` is missing; install it (on Debian and Ubuntu: package $2) and run this again"
    elif [[ $EUID -ne 0 ]]; then
        fail "\`$1\` is missing; run: sudo apt-get update && sudo apt-get install $2"
    fi
    if [[ -z "${package_lists_fresh:-}" ]]; then
        run apt-get update -qq
        package_lists_fresh=yes
    fi
    run env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$2"
}

# ensure_toolchain: the pinned compiler with rustfmt and clippy, and a C compiler to link with.
ensure_toolchain() {
    command -v rustup >/dev/null || fail "rustup is missing; install it from https://rustup.rs and run this again"
    ensure_command cc build-essential
    local installed
    installed="$(rustup component list --toolchain "$toolchain" --installed 2>/dev/null || true)"
    if [[ "$installed" != *rustfmt* || "$installed" != *clippy* ]]; then
        run rustup toolchain install "$toolchain" --profile minimal --component rustfmt --component clippy
    fi
}

# ensure_targets TARGET…: standard libraries for cross compilation, one by one, so that the message names the one
# that failed.
ensure_targets() {
    local target installed
    installed="$(rustup target list --toolchain "$toolchain" --installed)"
    for target in "$@"; do
        grep -qx "$target" <<<"$installed" || run rustup target add --toolchain "$toolchain" "$target"
    done
}

# ensure_nightly COMPONENT…: a nightly toolchain with these parts.
ensure_nightly() {
    local component installed missing=()
    installed="$(rustup component list --toolchain "$nightly_toolchain" --installed 2>/dev/null || true)"
    for component in "$@"; do
        [[ "$installed" == *"$component"* ]] || missing+=(--component "$component")
    done
    [[ -n "$installed" && ${#missing[@]} -eq 0 ]] \
        || run rustup toolchain install "$nightly_toolchain" --profile minimal "${missing[@]}"
}

# ensure_cargo_fuzz: about two minutes on two cores when it is missing.
ensure_cargo_fuzz() {
    ensure_command c++ build-essential
    if [[ "$(cargo fuzz --version 2>/dev/null)" != "cargo-fuzz $cargo_fuzz_version" ]]; then
        run cargo install --locked cargo-fuzz --version "$cargo_fuzz_version"
    fi
}

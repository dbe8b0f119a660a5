#!/usr/bin/env bash
# Installs what the tests need and runs all checks, or the named ones. See --help.
set -uo pipefail

usage() {
    cat <<'END'
Usage: scripts/test.sh [--keep-going] [--dry-run] [STEP…]

Installs what is missing (Rust toolchain and targets by rustup, qemu by apt-get, cargo-fuzz by cargo), then runs:

  fmt       formatting
  clippy    lints of all targets, warnings are errors
  docs      documentation of all crates, warnings are errors
  deps      licences, duplicate versions, layer order, unsafe code (cargo xtask deps); the table of features (cargo
            xtask parity); lock files that are up to date
  fetch     the multilingual model that tests of languages need, into the user's cache; where it cannot be had, the
            step says so and those tests skip
  host      all tests on this machine
  kotlin    the Kotlin packages on this machine: generated bindings against their snapshot, all tests of the API, the
            Android part under Robolectric, an app after R8, by Maven (android/README.md); installs a JDK and Maven by
            apt-get
  samples   the sample apps for Android (sample-apps/android/README.md): compiled and tested under Robolectric on the
            library of this machine, each assembled into an APK without it, which is checked
  swift     the Swift package and the models of its sample apps on this machine, and the samples' views against a stub
            of SwiftUI, in a Debian chroot with Swift 6 (scripts/swift-chroot.sh makes it, once, 3 GB); skipped, with
            a line that says so, without root or network
  aarch64   quick tests for ARM under qemu on a Cortex-A53 (ARMv8.0), which has no instruction but the oldest; what
            depends on the instruction set, and the bits of a whole Whisper, also on a Cortex-A76 (`sdot`) and with
            everything that qemu has; on x86 also on a processor without AVX
  cross     type check of the library crates for Android and iOS, lints of what is compiled for ARM only
  fuzz      every fuzz target: its seeds, then eight seconds of new inputs (longer: scripts/fuzz.sh)

Without STEP all of them, in this order. Stops at the first failure. By name only:

  long      what takes an hour or two: recordings of 5 and 20 minutes offline and live, all clips with timestamps, an
            hour of live audio in constant memory; optimised, with word error rates on the screen
  models    every interleaving of the thread pool and of jobs (loom), and the pool's unsafe code and that of the
            kernels' views and buffers interpreted (Miri, on a nightly toolchain): a quarter of an hour
  races     jobs, the engine and the surface for apps under ThreadSanitizer (a nightly toolchain with its sources):
            every race of memory in their tests, and SOTTO_ROUNDS rounds of calls at random moments: a quarter of
            an hour and more
  loops     the inner loops of the ARM products against the issue limits of phone cores (llvm-mca, by apt-get): a
            minute

  --keep-going   run the remaining steps after a failure
  --dry-run      print the commands instead of running them
  --help         this text

Environment:
  SOTTO_DATA        folder with real models and recordings (default ../shared/data); tests that need it skip without
                    it
  SOTTO_MODELS      folder around the fetched `whisper-base` (default ~/.cache/sotto/real-models)
  SOTTO_ROUNDS      how often the packages' tests race at random moments (default 300; 10000 before a release)
  SWIFT_CHROOT      where the chroot with Swift is (default ~/.cache/sotto/swift-chroot)
  SOTTO_QUICK=1     leave out the tests that run recognizers (tests/real_*.rs, and such among unit tests) on the host
                    too
  CI                when set and CARGO_TARGET_DIR is not: builds in ~/.cache/sotto/target
END
}

all_steps=(fmt clippy docs deps fetch host kotlin samples swift aarch64 cross fuzz)
steps=()
keep_going=false
dry_run=false
for argument in "$@"; do
    case "$argument" in
        --keep-going) keep_going=true ;;
        --dry-run) dry_run=true ;;
        -h | --help) usage; exit 0 ;;
        fmt | clippy | docs | deps | fetch | host | kotlin | samples | swift | aarch64 | cross | fuzz | \
            long | models | races | loops)
            steps+=("$argument")
            ;;
        *) echo "sotto: unknown step or option \`$argument\`" >&2; usage >&2; exit 2 ;;
    esac
done
[[ ${#steps[@]} -gt 0 ]] || steps=("${all_steps[@]}")

# shellcheck source=scripts/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$root" || exit 1

# What ships to phones, bottom up; the store comes with `sotto`, without its network.
library_crates=(sotto-runtime sotto-kernels sotto-nn sotto-audio sotto-text sotto-speech sotto-starter sotto)
# Where numbers are made: these must behave the same on ARM.
numeric_crates=(sotto-runtime sotto-kernels sotto-nn sotto-audio sotto-text sotto-speech)
arm=aarch64-unknown-linux-musl
# ARMv8.0 without dotprod, the oldest 64-bit phones: whatever else is compiled in by mistake traps there.
oldest_arm=cortex-a53
# `sdot` without what came after it, and every extension that qemu knows.
newer_arms=(cortex-a76 max)
# What looks at the instruction set itself. All else gives the same bits on every set, which these hold it to.
isa_tests=(--test expected_sets --test conformance --test attention --test architectures --test same_bits)
# The f32 references of candle. One set of features in all steps on this machine, so that nothing is built twice; the
# steps for phones do without, as what ships does.
references=(--features sotto-speech/reference)
mobile_targets=(aarch64-linux-android armv7-linux-androideabi x86_64-linux-android aarch64-apple-ios)
# Code that only ARM builds have, most of it unsafe.
arm_code_crates=(sotto-runtime sotto-kernels sotto-nn sotto-speech)
# Workspaces of their own, which no other step builds with `--locked`.
other_workspaces=(core/fuzz scripts/peers/workers)

step_fmt() {
    run cargo fmt --all --check
    local workspace
    for workspace in "${other_workspaces[@]}"; do
        run cargo fmt --check --manifest-path "$workspace/Cargo.toml"
    done
}

step_clippy() {
    run cargo clippy --locked --workspace --all-targets "${references[@]}" -- -D warnings
}

step_docs() {
    run env RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps "${references[@]}"
}

step_deps() {
    run cargo xtask deps
    run cargo xtask parity --check
    local workspace
    for workspace in "${other_workspaces[@]}"; do
        lock_is_current "$workspace"
    done
}

# lock_is_current FOLDER: whether the lock file of a workspace is what its manifests ask for.
lock_is_current() {
    run cargo update --workspace --locked --quiet --manifest-path "$1/Cargo.toml" \
        || fail "$1/Cargo.lock is out of date; run cargo update --workspace --manifest-path $1/Cargo.toml and commit it"
}

# quick_tests CRATE…: cargo's options for unit tests and the test files that run no real model; those are called
# real_*.rs.
quick_tests() {
    local crate file name
    printf '%s\n' --lib
    for crate in "$@"; do
        for file in core/"${crate#sotto-}"/tests/*.rs; do
            name="$(basename "$file" .rs)"
            [[ ! -f "$file" || "$name" == real_* ]] || printf -- '--test=%s\n' "$name"
        done
    done | sort -u
}

# The data folder's own script knows where the model is to be had. Without it nothing fails: tests skip with a message.
step_fetch() {
    local data="${SOTTO_DATA:-$root/../shared/data}" models="${SOTTO_MODELS:-$HOME/.cache/sotto/real-models}"
    local fetcher="$data/../models/fetch.py"
    if [[ -n "${SOTTO_QUICK:-}" ]]; then
        echo "    SOTTO_QUICK is set: no test needs a model"
    elif [[ -f "$models/whisper-base/model.safetensors" ]]; then
        echo "    whisper-base is in $models"
    elif [[ ! -f "$fetcher" ]]; then
        echo "sotto: whisper-base is missing and so is $fetcher, which fetches it: tests of languages will skip"
    elif ! run timeout 900 python3 "$fetcher" --to "$models" whisper-base; then
        echo "sotto: whisper-base could not be fetched: tests of languages will skip"
    fi
}

step_host() {
    local crates selection=()
    if [[ -n "${SOTTO_QUICK:-}" ]]; then
        mapfile -t crates < <(ls core)
        mapfile -t selection < <(quick_tests "${crates[@]}")
        selection+=(--bins)
    fi
    run env SOTTO_EXPECT_ISAS="$(sets_of_host)" cargo test --locked --workspace "${references[@]}" "${selection[@]}"
    run python3 -m unittest discover -s scripts/peers
}

# The library that the packages for apps load here, and what UniFFI makes of it.
make_bindings() {
    run cargo xtask bindings --check
}

step_kotlin() {
    make_bindings
    ensure_command javac openjdk-17-jdk-headless
    ensure_command mvn maven
    # In its folder: Maven looks for its settings (.mvn) from there.
    maven_in android 1500 verify || return 0
}

# maven_in FOLDER SECONDS OPTION…: Maven on the library of this machine. Where it cannot fetch what it needs, that is
# said and the exit code is 75; any other failure fails the step.
maven_in() {
    local folder="$1" seconds="$2" log status=0
    shift 2
    log="$(mktemp)"
    local maven=(mvn --batch-mode --quiet -Dsotto.library.dir="$target_dir/debug")
    (cd "$folder" && run timeout "$seconds" "${maven[@]}" "$@") 2>&1 | tee "$log" || status=$?
    local unreachable='Could not transfer artifact|UnknownHostException'
    if [[ $status -ne 0 ]] && grep -qE "$unreachable" "$log"; then
        echo "sotto: $folder is not tested: Maven could not fetch what it needs (see above)"
        status=75
    fi
    rm -f "$log"
    [[ $status -eq 0 || $status -eq 75 ]] || exit "$status"
    return "$status"
}

step_samples() {
    make_bindings
    ensure_command javac openjdk-17-jdk-headless
    ensure_command mvn maven
    ensure_command zip zip
    ensure_command zipalign zipalign
    ensure_command apksigner apksigner
    local app
    local packages=sotto-android,sotto-starter,android-test-stubs
    maven_in android 600 -Dmaven.test.skip=true -pl "$packages" -am install || return 0
    maven_in sample-apps/android 900 package || return 0
    for app in speech profiler; do
        run timeout 300 "sample-apps/android/apk.sh" "$app"
        run cargo xtask verify-artifact --without-native "sample-apps/android/$app/target/$app.apk"
    done
}

step_swift() {
    make_bindings
    if "$dry_run"; then
        echo "    scripts/swift-chroot.sh setup, then swift test in ios"
        return
    fi
    if [[ "$(uname -s)" != Linux ]]; then
        run env SOTTO_HOST_LIB=1 swift test --package-path ios -Xlinker "-L$target_dir/debug"
        return
    fi
    [[ "$(id -u)" == 0 ]] || { echo "sotto: Swift is not tested: making its chroot needs root"; return; }
    ensure_command debootstrap debootstrap
    if ! timeout 1200 scripts/swift-chroot.sh setup; then
        echo "sotto: Swift is not tested: the Debian archive could not be reached, or mounts are refused (see above)"
        return
    fi
    swift_in ios test
    run timeout 600 scripts/swift-chroot.sh run -C ios -b "$root" -- ./make-docs.sh
    swift_in sample-apps/ios/SampleModels test -Xlinker --allow-shlib-undefined
    run timeout 600 scripts/swift-chroot.sh run -C sample-apps/ios -b "$root" -- ./check-views.sh
}

# swift_in FOLDER COMMAND OPTION…: SwiftPM in the chroot, on the library of this machine.
swift_in() {
    local folder="$1" command="$2"
    shift 2
    run timeout 1200 scripts/swift-chroot.sh run -C "$folder" -b "$root" -b "$target_dir/debug" -e SOTTO_ROUNDS -- \
        swift "$command" -Xlinker "-L$target_dir/debug" -Xlinker -rpath -Xlinker "$target_dir/debug" "$@"
}

# sets_of_host: the kernel sets that this processor must have, by what the system says of it; nothing where that is not
# known.
sets_of_host() {
    local flags sets=scalar
    flags="$(sed -n 's/^flags[[:space:]]*://p' /proc/cpuinfo 2>/dev/null | head -n 1)"
    [[ "$(uname -m)" == x86_64 && -n "$flags" ]] || return 0
    has_flags "$flags" avx2 fma f16c && sets+=" avx2"
    has_flags "$flags" avx2 fma f16c avx512f avx512bw avx512vl avx512_vnni && sets+=" avx512vnni"
    printf '%s' "$sets"
}

# has_flags FLAGS NAME…
has_flags() {
    local flags=" $1 " name
    shift
    for name in "$@"; do
        [[ "$flags" == *" $name "* ]] || return 1
    done
}

# sets_of_arm CPU: the kernel sets that an emulated CPU must have.
sets_of_arm() {
    case "$1" in
        cortex-a53) echo "scalar neon" ;;
        cortex-a76) echo "scalar neon dotprod-in-order dotprod" ;;
        max) echo "scalar neon dotprod-in-order dotprod i8mm" ;;
        *) fail "which kernel sets does $1 have?" ;;
    esac
}

# new_sets_of_arm CPU: those of them that no older CPU has run. The same instructions give the same bits on all.
new_sets_of_arm() {
    case "$1" in
        cortex-a76) echo "dotprod-in-order dotprod" ;;
        max) echo "i8mm" ;;
        *) fail "which kernel sets does $1 have first?" ;;
    esac
}

# Without the recognizers: one window of audio takes minutes under emulation.
step_aarch64() {
    ensure_command qemu-aarch64-static qemu-user-static
    ensure_targets "$arm"
    local crate cpu selection=() packages=()
    mapfile -t selection < <(quick_tests "${numeric_crates[@]}")
    for crate in "${numeric_crates[@]}"; do
        packages+=(-p "$crate")
    done
    on_arm "$oldest_arm" "${packages[@]}" "${selection[@]}"
    for cpu in "${newer_arms[@]}"; do
        on_arm "$cpu" "${packages[@]}" --lib dispatch::
        SOTTO_TEST_ISAS="$(new_sets_of_arm "$cpu")" on_arm "$cpu" "${packages[@]}" "${isa_tests[@]}"
    done
    on_old_x86
}

# A processor without AVX must fall back: qemu traps what a Nehalem of 2008 does not have. On hosts that run its code
# alone.
on_old_x86() {
    [[ "$(rustc -vV | sed -n 's/^host: //p')" == x86_64-unknown-linux-gnu ]] || return 0
    echo "--- x86_64 on a Nehalem"
    # Selected from the whole workspace as in the step `host`, whose builds they are.
    local selection whole="--test expected_sets --test conformance --test attention --test architectures"
    for selection in "--lib dispatch::" "$whole"; do
        # shellcheck disable=SC2086 # several words
        run env SOTTO_EXPECT_ISAS=scalar PROPTEST_CASES="${PROPTEST_CASES:-32}" \
            CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="qemu-x86_64-static -cpu Nehalem" \
            cargo test --locked --workspace "${references[@]}" $selection
    done
}

# on_arm CPU OPTION…: cargo's tests on an emulated CPU.
on_arm() {
    local cpu="$1" sets
    sets="$(sets_of_arm "$cpu")"
    shift
    echo "--- $arm on $cpu"
    # Emulation is ten to twenty times slower than the host: fewer random cases, the same properties.
    run env SOTTO_QUICK=1 PROPTEST_CASES="${PROPTEST_CASES:-32}" SOTTO_EXPECT_ISAS="$sets" \
        CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUNNER="qemu-aarch64-static -cpu $cpu" \
        cargo test --locked --target "$arm" "$@"
}

step_cross() {
    ensure_targets "${mobile_targets[@]}"
    local crate target packages=()
    for crate in "${library_crates[@]}"; do
        packages+=(-p "$crate")
    done
    for target in "${mobile_targets[@]}"; do
        run cargo check --locked --target "$target" "${packages[@]}"
    done
    run cargo check --locked --target aarch64-apple-ios -p sotto --features metal
    # The bindings, with what Android alone has of them. Apple's need its compiler.
    run cargo check --locked --target aarch64-linux-android -p sotto-ffi
    packages=()
    for crate in "${arm_code_crates[@]}"; do
        packages+=(-p "$crate")
    done
    run cargo clippy --locked --target aarch64-linux-android "${packages[@]}" -- -D warnings
}

step_fuzz() {
    # What this finds is a parser that breaks on its seeds or soon after; hours belong to scripts/fuzz.sh.
    local options=(--seconds 8)
    "$dry_run" && options+=(--dry-run)
    scripts/fuzz.sh "${options[@]}"
}

step_long() {
    # Each test file is worth its run, whatever another one found.
    local long=(env SOTTO_LONG=1 cargo test --locked --release --no-fail-fast) status=0
    run "${long[@]}" -p sotto-speech --test real_ggml --test real_greedy --test real_int8 \
        --test real_live_errors --test real_long_form --test real_reference --test real_stream \
        -- --nocapture || status=1
    run "${long[@]}" -p sotto-cli --test constant_memory -- --nocapture || status=1
    return "$status"
}

step_models() {
    run env RUSTFLAGS="--cfg loom" cargo test --locked -p sotto-runtime --lib model:: --target-dir "$target_dir/loom"
    ensure_nightly miri rust-src
    run cargo "+$nightly_toolchain" miri test --locked -p sotto-runtime --lib pool --target-dir "$target_dir/miri"
    # The products themselves take Miri hours; what they write through is small.
    run cargo "+$nightly_toolchain" miri test --locked -p sotto-kernels --lib --target-dir "$target_dir/miri" \
        -- aligned:: block::
}

# The standard library is built with the sanitizer too, or its own synchronisation would not be seen.
step_races() {
    ensure_nightly rust-src
    local host watched
    host="$(rustc -vV | sed -n 's/^host: //p')"
    # One set of packages in all calls, so that nothing is built twice.
    watched=(env RUSTFLAGS=-Zsanitizer=thread cargo "+$nightly_toolchain" test --locked -Zbuild-std --target "$host"
        --target-dir "$target_dir/tsan" -p sotto-runtime -p sotto -p sotto-ffi)
    run "${watched[@]}" --lib --test engine --test real_jobs --test races --no-run
    run timeout 1200 "${watched[@]}" --lib -- job:: memory:: pool:: shared::
    run timeout 1200 "${watched[@]}" --test engine --test real_jobs
    run timeout 3600 "${watched[@]}" --test races -- --nocapture
}

step_loops() {
    run python3 scripts/peers/arm_loops.py
}

ensure_toolchain
failed=()
passed=0
for step in "${steps[@]}"; do
    printf '\n=== %s (step %d of %d)\n' "$step" $((passed + ${#failed[@]} + 1)) "${#steps[@]}"
    started=$SECONDS
    # A subshell, so that `set -e` holds inside the step and a failure does not end this loop.
    (set -e; "step_$step")
    status=$?
    if [[ $status -eq 0 ]]; then
        passed=$((passed + 1))
        "$dry_run" || printf '=== %s: passed (%s)\n' "$step" "$(minutes $((SECONDS - started)))"
    else
        failed+=("$step")
        printf '=== %s: FAILED with exit code %d (%s)\n' "$step" "$status" "$(minutes $((SECONDS - started)))"
        "$keep_going" || break
    fi
done

printf '\n'
if [[ ${#failed[@]} -gt 0 ]]; then
    printf 'sotto: FAILED: %s; %d of %d steps passed (%s). Repeat one alone: scripts/test.sh %s\n' \
        "${failed[*]}" "$passed" "${#steps[@]}" "$(minutes $SECONDS)" "${failed[0]}"
    exit 1
fi
"$dry_run" && printf 'sotto: dry run, nothing was checked\n' && exit 0
printf 'sotto: all checks passed (%d steps, %s)\n' "$passed" "$(minutes $SECONDS)"

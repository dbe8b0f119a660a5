#!/usr/bin/env bash
# Swift toolchain in a Debian chroot. Idempotent: creates the chroot once, then reuses it.
#   swift-chroot.sh setup                     create (or finish) the chroot
#   swift-chroot.sh run [-C DIR] [-b DIR]... [-e VAR]... -- CMD...
#                                             run CMD in DIR (bind-mounted at the same path, as are -b dirs)
#   swift-chroot.sh path | version | clean
# Env: SWIFT_CHROOT (where; default ${XDG_CACHE_HOME:-~/.cache}/sotto/swift-chroot), SWIFT_SUITE (trixie).
# The mirror is whatever this machine's apt uses. Needs root. Every mount lives in a
# private mount namespace, so nothing is left mounted however the command ends.
set -euo pipefail

ROOT=${SWIFT_CHROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/sotto/swift-chroot}
SUITE=${SWIFT_SUITE:-trixie}
PKGS=(swiftlang libc6-dev g++ libncurses-dev libxml2-dev libcurl4-openssl-dev git ca-certificates)
STAMP_WANT="v1 $SUITE ${PKGS[*]}"
STAMP=$ROOT/.swift-chroot-ready

die() { echo "swift-chroot: $*" >&2; exit 1; }

mirror() { # first Debian archive that apt itself is configured with
    apt-get indextargets --format '$(SITE) $(ORIGIN) $(RELEASE)' 'Created-By: Packages' 2>/dev/null |
        awk '$1 !~ /security/ {print $1; exit}'
}

# mount: private mount namespace + chroot (root with CAP_SYS_ADMIN). proot: ptrace, for plain containers.
mode() {
    [ -n "${SWIFT_CHROOT_MODE:-}" ] && { echo "$SWIFT_CHROOT_MODE"; return; }
    if unshare --mount --propagation private -- sh -c 'mount --bind "$1" "$1"' sh "$1" 2>/dev/null; then echo mount
    elif command -v proot >/dev/null; then echo proot
    else die "mount is refused here and proot is missing: apt-get install proot"; fi
}

# PID 1 of a namespace ignores SIGTERM, and unshare blocks it: so kill hard when we are stopped, and
# die with this script even when it is killed hard.
supervised() {
    local pid rc=0
    setpriv --pdeathsig KILL "$@" <&0 &
    pid=$!
    trap 'kill -KILL $pid 2>/dev/null; exit 143' TERM INT HUP
    wait "$pid" || rc=$?
    trap - TERM INT HUP
    return "$rc"
}

# in_root DIR... -- CMD...: private mount namespace, binds, chroot
in_root() {
    local binds=()
    while [ "$1" != -- ]; do binds+=("$1"); shift; done
    shift
    if [ "$(mode "$ROOT")" = proot ]; then
        local args=() d
        for d in "${binds[@]+"${binds[@]}"}"; do args+=(-b "$d"); done
        supervised proot -0 -r "$ROOT" -b /proc -b /dev -w / "${args[@]+"${args[@]}"}" "$@"
        return
    fi
    ROOT=$ROOT BINDS=$(printf '%s\n' "${binds[@]+"${binds[@]}"}") \
    supervised unshare --mount --pid --fork --kill-child --propagation private -- bash -euc '
        mount -t proc proc "$ROOT/proc"
        mount --rbind /dev "$ROOT/dev"
        while IFS= read -r d; do
            [ -n "$d" ] || continue
            mkdir -p "$ROOT$d"; mount --bind "$d" "$ROOT$d"
        done <<<"$BINDS"
        unset BINDS
        exec chroot "$ROOT" "$@"' in_root "$@"
}

setup() {
    [ "$(cat "$STAMP" 2>/dev/null)" = "$STAMP_WANT" ] && return 0
    [ "$(id -u)" = 0 ] || die "setup needs root"
    command -v debootstrap >/dev/null || die "debootstrap is missing: apt-get install debootstrap"
    mkdir -p "$ROOT"
    exec 9>"$ROOT.lock"; flock 9
    [ "$(cat "$STAMP" 2>/dev/null)" = "$STAMP_WANT" ] && return 0
    local how; how=$(mode "$ROOT")
    local m; m=$(mirror); [ -n "$m" ] || die "no Debian archive in this machine's apt configuration"
    if [ ! -e "$ROOT/.bootstrapped" ]; then
        rm -rf "${ROOT:?}"/*
        local ns=(); [ "$how" = mount ] && ns=(unshare --mount --propagation private --)
        "${ns[@]+"${ns[@]}"}" \
            debootstrap --variant=minbase "$SUITE" "$ROOT" "$m" >&2 ||
            die "debootstrap failed: see $ROOT/debootstrap/debootstrap.log"
        touch "$ROOT/.bootstrapped"
    fi
    printf 'deb %s %s main\n' "$m" "$SUITE" >"$ROOT/etc/apt/sources.list"
    # carry over transport settings only (proxy, clock checks), never credentials
    apt-config dump | grep -E '^Acquire::(https?::Proxy|Check-(Date|Valid-Until)|Retries) ' \
        >"$ROOT/etc/apt/apt.conf.d/99host" || true
    { echo force-unsafe-io; printf 'path-exclude=/usr/share/%s/*\n' doc man locale; } \
        >"$ROOT/etc/dpkg/dpkg.cfg.d/99slim"
    cp -L /etc/resolv.conf /etc/hosts "$ROOT/etc/" 2>/dev/null || true
    printf '#!/bin/sh\nexit 101\n' >"$ROOT/usr/sbin/policy-rc.d"; chmod +x "$ROOT/usr/sbin/policy-rc.d"
    in_root -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive sh -euc '
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends "$@"
        apt-get clean; rm -rf /var/lib/apt/lists/*' sh "${PKGS[@]}" >&2
    printf '%s\n' "$STAMP_WANT" >"$STAMP"
}

run() {
    local dir=$PWD binds=() vars=()
    while [ $# -gt 0 ]; do case $1 in
        -C) dir=$2; shift 2;; -b) binds+=("$(realpath "$2")"); shift 2;;
        -e) vars+=("$2=${!2-}"); shift 2;; --) shift; break;; *) break;; esac; done
    [ $# -gt 0 ] || die "run: no command"
    setup
    dir=$(realpath "$dir")
    in_root "$dir" "${binds[@]+"${binds[@]}"}" -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" "${vars[@]+"${vars[@]}"}" \
        bash -c 'cd "$1" && shift && exec "$@"' sh "$dir" "$@"
}

case ${1:-} in
    setup) setup;;
    run) shift; run "$@";;
    path) echo "$ROOT";;
    version) run -C / -- true; run swift --version;;
    clean)
        grep -q " $ROOT/" /proc/self/mountinfo && die "something is mounted under $ROOT"
        rm -rf --one-file-system "$ROOT" "$ROOT.lock";;
    *) sed -n '2,7p' "$0" >&2; exit 2;;
esac

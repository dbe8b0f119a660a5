#!/usr/bin/env bash
# Makes the API pages of the Kotlin packages with Dokka, under Maven. Fails where a public item has no words. Needs what
# `cargo xtask bindings` builds; fetches Dokka the first time. A minute or two.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
log="$(mktemp)"
trap 'rm -f "$log"' EXIT

modules=sotto-kotlin,sotto-android,android-test-stubs
mvn --batch-mode -Pdocs -Dmaven.test.skip=true -pl "$modules" -am "$@" prepare-package >"$log" 2>&1 \
    || { cat "$log"; exit 1; }
# What the compiler gives every enum has no source to write words in.
made='/(values/#|valueOf/#kotlin\.String|entries/#)/'
if grep '\[WARNING\]' "$log" | grep -E 'Undocumented|Dokka|dokka|Couldn.t resolve' | grep -vE "$made"; then
    echo "docs.sh: the above needs words" >&2
    exit 1
fi
for module in sotto-kotlin sotto-android; do
    echo "$module/target/dokka: $(find "$module/target/dokka" -name '*.html' | wc -l) pages"
done

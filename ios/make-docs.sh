#!/usr/bin/env bash
# Makes the documentation of the package (DocC): .build/docs/Sotto.doccarchive. Run after `swift build`, on Linux inside
# the Swift chroot. Fails on every warning, and where a public item says nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# Debian keeps the tools that are not called by hand beside the compiler.
PATH="$PATH:/usr/libexec/swift/bin"
command -v docc >/dev/null || PATH="$PATH:$(dirname "$(xcrun --find docc)")"
modules=.build/debug/Modules
graphs=.build/docs/graphs
rm -rf .build/docs
mkdir -p "$graphs"
target="$(swiftc -print-target-info | sed -n 's/.*"unversionedTriple": "\(.*\)".*/\1/p')"
swift-symbolgraph-extract -module-name Sotto -target "$target" -I "$modules" -I Sources/sottoFFI \
    -Xcc -fmodule-map-file=Sources/sottoFFI/module.modulemap -minimum-access-level public -skip-synthesized-members \
    -output-dir "$graphs"
docc convert Sources/Sotto/Sotto.docc --additional-symbol-graph-dir "$graphs" \
    --output-path .build/docs/Sotto.doccarchive --warnings-as-errors \
    --fallback-display-name Sotto --fallback-bundle-identifier dev.sotto.Sotto \
    --experimental-documentation-coverage --coverage-summary-level detailed >.build/docs/coverage.txt
# Columns: name, kind, whether it has a sentence, …, address. Groups and `init(rawValue:)` are not written by us.
silent="$(awk -F' *[|] *' '
    $3 == "false" && $2 !~ /^(CollectionGroup|Article)$/ && $1 != "init(rawValue:)" { print $2 ": " $NF }
' .build/docs/coverage.txt)"
if [[ -n "$silent" ]]; then
    echo "sotto: without a word of documentation:" >&2
    echo "$silent" >&2
    exit 1
fi
echo "Sotto: $(grep -c 'doc://' .build/docs/coverage.txt) pages of documentation"

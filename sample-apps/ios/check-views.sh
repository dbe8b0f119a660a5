#!/usr/bin/env bash
# Type-checks the views against a stub of SwiftUI, where there is none. Run inside the Swift chroot, after `swift build`
# of SampleModels. It shows wrong members of our models and wrong isolation; it proves nothing of Apple's interface.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
modules="SampleModels/.build/debug/Modules"
made="SampleModels/.build/stub"
mkdir -p "$made"
for module in SwiftUI UniformTypeIdentifiers; do
    source=stub/SwiftUI.swift
    [[ "$module" == SwiftUI ]] || { source="$made/empty.swift"; : >"$source"; }
    swiftc -swift-version 6 -enable-upcoming-feature InternalImportsByDefault -emit-module -parse-as-library \
        -module-name "$module" -o "$made/$module.swiftmodule" "$source"
done
for app in Speech Profiler; do
    swiftc -swift-version 6 -typecheck -parse-as-library -module-name "$app" -I "$made" -I "$modules" \
        -Xcc -fmodule-map-file=../../ios/Sources/sottoFFI/module.modulemap -I ../../ios/Sources/sottoFFI \
        stub/Platform.swift "$app"/*.swift
    echo "$app: its views fit"
done

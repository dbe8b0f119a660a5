// swift-tools-version: 6.0
// Sotto for apps of Apple's systems. On Linux, and with SOTTO_HOST_LIB set, the package stands on a library of this
// machine (`cargo xtask bindings`); elsewhere on the XCFramework beside it (`cargo xtask xcframework`).
import Foundation
import PackageDescription

#if os(Linux)
let standsOnHost = true
#else
let standsOnHost = ProcessInfo.processInfo.environment["SOTTO_HOST_LIB"] != nil
#endif

let native: Target =
    standsOnHost
    ? .systemLibrary(name: "sottoFFI")
    : .binaryTarget(name: "sottoFFI", path: "SottoFFI.xcframework")

let package = Package(
    name: "Sotto",
    platforms: [.iOS(.v16), .macOS(.v13)],
    products: [
        .library(name: "Sotto", targets: ["Sotto"]),
        .library(name: "SottoStarter", targets: ["SottoStarter"]),
    ],
    targets: [
        native,
        // Made by UniFFI; nobody but Sotto sees it. It is not written for Swift 6.
        .target(
            name: "SottoBindings", dependencies: ["sottoFFI"], swiftSettings: [.swiftLanguageMode(.v5)]),
        .target(
            name: "Sotto", dependencies: ["SottoBindings"], resources: [.copy("PrivacyInfo.xcprivacy")],
            swiftSettings: [
                .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("InternalImportsByDefault"),
            ]),
        // The starter model as a resource, for apps that bring no model of their own.
        .target(name: "SottoStarter", dependencies: ["Sotto"], resources: [.copy("Resources")]),
        .testTarget(name: "SottoTests", dependencies: ["Sotto", "SottoStarter"]),
    ],
    swiftLanguageModes: [.v6]
)

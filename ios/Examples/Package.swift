// swift-tools-version: 6.0
// Programs that stand on the package as an app does. `latencies` measures what the way from Swift into the library costs.
import PackageDescription

let package = Package(
    name: "Examples",
    platforms: [.macOS(.v13)],
    dependencies: [.package(name: "Sotto", path: "..")],
    targets: [
        .executableTarget(name: "latencies", dependencies: [.product(name: "Sotto", package: "Sotto")])
    ],
    swiftLanguageModes: [.v6]
)

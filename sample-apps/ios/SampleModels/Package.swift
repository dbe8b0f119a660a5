// swift-tools-version: 6.0
// What the sample apps do, without their views: built and tested wherever Swift is, Linux included.
import PackageDescription

let package = Package(
    name: "SampleModels",
    platforms: [.iOS(.v17), .macOS(.v14)],
    products: [.library(name: "SampleModels", targets: ["SampleModels"])],
    dependencies: [.package(path: "../../../ios")],
    targets: [
        .target(
            name: "SampleModels",
            dependencies: [
                .product(name: "Sotto", package: "ios"), .product(name: "SottoStarter", package: "ios"),
            ]),
        .testTarget(name: "SampleModelsTests", dependencies: ["SampleModels"]),
    ],
    swiftLanguageModes: [.v6]
)

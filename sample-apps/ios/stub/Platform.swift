// What `Sotto` has on Apple's systems alone, for the type check elsewhere.
import Foundation
import Sotto

final class Microphone: Sendable {
    let format = PCMFormat()
    init() throws(SottoError) {}
    func samples() -> AsyncThrowingStream<Data, any Error> { AsyncThrowingStream { _ in } }
}

extension DeviceReading {
    @MainActor static func current() -> DeviceReading { DeviceReading() }
}

extension Int64 {
    struct SizeStyle {
        enum Style { case file }
        static func byteCount(style: Style) -> SizeStyle { SizeStyle() }
    }
    func formatted(_ style: SizeStyle) -> String { "\(self)" }
}

extension URL {
    static var applicationSupportDirectory: URL { FileManager.default.temporaryDirectory }
    func appending(path: String) -> URL { appendingPathComponent(path) }
}

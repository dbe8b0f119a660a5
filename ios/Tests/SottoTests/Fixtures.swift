import Foundation
import Sotto
import XCTest

/// Files of the repository that tests read in place.
enum Fixtures {
    static let repository = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    static let demo = repository.appendingPathComponent("core/starter/audio/demo.flac")
    static let starter = repository.appendingPathComponent("core/starter/models/speech/starter.en.sotto")
    static let table = repository.appendingPathComponent("bindings/conformance/speech.json")
    /// The demo recording as samples: 16 bit, 16 kHz, mono.
    static let pcm = repository.appendingPathComponent("bindings/conformance/demo.pcm")

    /// One engine for tests that need none of their own.
    static let engine: SottoEngine = {
        do { return try SottoEngine(.init(threads: 2)) } catch { fatalError("\(error)") }
    }()

    static func recognizer() async throws -> SpeechRecognizer {
        try await SpeechRecognizer.load(.file(starter), engine: engine)
    }
}

/// Runs `body`, and fails when it has not ended in time: a wait that nobody ends must not hang the suite.
func within<T: Sendable>(
    seconds: Double = 120, _ body: @escaping @Sendable () async throws -> T
) async throws -> T {
    try await withThrowingTaskGroup(of: T.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await Task.sleep(nanoseconds: UInt64(seconds * 1e9))
            throw TimedOut()
        }
        defer { group.cancelAll() }
        guard let first = try await group.next() else { throw TimedOut() }
        return first
    }
}

struct TimedOut: Error {}

/// Waits until an engine holds no more than `bytes`: a job's thread may still be giving back what it held.
func untilHeld(by engine: SottoEngine, atMost bytes: UInt64 = 0) async throws {
    for _ in 0..<1000 where engine.memoryUsed > bytes { try await Task.sleep(nanoseconds: 10_000_000) }
}

/// Fails where `body` is not cancelled within half a minute.
func assertCancelled<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) async {
    do {
        _ = try await within(seconds: 30, body)
        XCTFail("it was cancelled")
    } catch {
        XCTAssertEqual(error as? SottoError, .cancelled)
    }
}

/// Bytes that this process holds in memory; 0 where the system does not say.
func residentBytes() -> Int {
    guard let status = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return 0 }
    let pages = status.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    return pages * 4096
}

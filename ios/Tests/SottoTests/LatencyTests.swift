import Foundation
import Sotto
import XCTest

/// What the way from Swift into the library costs: handing over samples, getting an event, cancelling. Prints figures
/// and asserts nothing that a busy machine breaks. Those of docs/PERFORMANCE.md come from `scripts/swift-latencies.sh`,
/// which sets SOTTO_LATENCIES; without it a tenth is measured, so that this does not rot.
///
/// A job is idle when its memory was given back.
final class LatencyTests: XCTestCase {
    private let rounds = ProcessInfo.processInfo.environment["SOTTO_LATENCIES"] == nil ? 2 : 20
    private let model = ModelSource.file(
        ProcessInfo.processInfo.environment["SOTTO_LATENCIES_MODEL"].map { URL(fileURLWithPath: $0) }
            ?? Fixtures.starter)

    func testPushingTwentyMilliseconds() async throws {
        let recognizer = try await SpeechRecognizer.load(model, engine: SottoEngine())
        let bytes = Data(repeating: 3, count: 640)
        try push("of 16-bit data", to: recognizer, format: .init()) { try $0.push(bytes) }
        let floats = [Float](repeating: 0.001, count: 320)
        try push("of floats", to: recognizer, format: .init(encoding: .float32)) { session in
            try floats.withUnsafeBufferPointer { try session.push($0) }
        }
    }

    /// Faster than it is heard, so that the worker is busy meanwhile.
    private func push(
        _ what: String, to recognizer: SpeechRecognizer, format: PCMFormat, _ once: (SpeechSession) throws -> Void
    ) throws {
        var times: [Duration] = []
        for _ in 0..<rounds / 2 {
            // Sessions are short, so that none is behind.
            let session = try recognizer.startSession(format: format)
            for _ in 0..<1000 { times.append(try ContinuousClock().measure { try once(session) }) }
            session.cancel()
        }
        say("push of 20 ms \(what)", times)
    }

    /// From the call that brings a session's end about to the task that waits for it.
    func testAnEventReachesATaskThatWaits() async throws {
        let recognizer = try await SpeechRecognizer.load(model, engine: SottoEngine())
        var times: [Duration] = []
        for _ in 0..<rounds * 10 {
            let session = try recognizer.startSession()
            let reader = Task {
                for try await _ in session.events {}
                return ContinuousClock.now
            }
            // The reader waits by then.
            try await Task.sleep(for: .milliseconds(3))
            let start = ContinuousClock.now
            session.finish()
            times.append(try await reader.value - start)
        }
        say("event to a waiting task", times)
    }

    func testCancellingALoad() async throws {
        var times: [Duration] = []
        for delay in 0..<rounds {
            let engine = try SottoEngine()
            let load = Task { [model] in _ = try await SpeechRecognizer.load(model, engine: engine) }
            try await Task.sleep(for: .milliseconds(delay))
            times.append(idle(engine, holding: 0) { load.cancel() })
        }
        say("cancel while loading, to idle", times)
    }

    func testCancellingWhileSpeechIsEncodedAndDecoded() async throws {
        let engine = try SottoEngine()
        let recognizer = try await SpeechRecognizer.load(model, engine: engine)
        let held = engine.memoryUsed
        let samples = try (0..<10).reduce(into: Data()) { data, _ in data += try Data(contentsOf: Fixtures.pcm) }
        let recording = AudioSource.samples(samples, format: .init())
        for step in [Span.encode, .decode] {
            var times: [Duration] = []
            for delay in 0..<rounds {
                let signal = Signal(step)
                let trace = SottoEngine.trace(with: signal)
                let transcription = Task { _ = try await recognizer.transcribe(recording) }
                for await _ in signal.begun { break }
                // At another point of the step each time.
                usleep(UInt32(delay) * 500)
                times.append(idle(engine, holding: held) { transcription.cancel() })
                withExtendedLifetime(trace) {}
            }
            say("cancel while in \(step), to idle", times)
        }
    }

    private func idle(_ engine: SottoEngine, holding bytes: UInt64, _ cancel: () -> Void) -> Duration {
        let start = ContinuousClock.now
        cancel()
        while engine.memoryUsed > bytes { usleep(100) }
        return ContinuousClock.now - start
    }

    private func say(_ what: String, _ times: [Duration]) {
        let sorted = times.sorted()
        guard let last = sorted.indices.last else { return XCTFail("\(what): nothing was measured") }
        let (median, late) = (sorted[last / 2].text, sorted[last * 99 / 100].text)
        print("\(what): median \(median), p99 \(late), highest \(sorted[last].text), \(sorted.count) times")
    }
}

extension Duration {
    fileprivate var text: String {
        let microseconds = Double(components.attoseconds) / 1e12 + Double(components.seconds) * 1e6
        return microseconds < 1000
            ? String(format: "%.1f µs", microseconds) : String(format: "%.1f ms", microseconds / 1000)
    }
}

/// Says when a step begins.
private final class Signal: SpanTracer {
    let begun: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation
    private let step: Span

    init(_ step: Span) {
        self.step = step
        (begun, continuation) = AsyncStream.makeStream()
    }

    func begin(_ span: Span, id: UInt64) {
        if span == step { continuation.yield() }
    }

    func end(_ span: Span, _ interval: Void) {}
}

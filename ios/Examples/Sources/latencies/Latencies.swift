// What the way from Swift into the library costs: handing over samples, getting an event, cancelling.
//
//     swift run -c release latencies MODEL RECORDING
//
// The same as `bindings/ffi/examples/latencies.rs`, from above. A job is idle when its memory was given back.
import Foundation
import Sotto

@main
struct Latencies {
    let model: ModelSource
    let recording: AudioSource

    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 3 else {
            print("usage: latencies MODEL RECORDING")
            exit(2)
        }
        let latencies = Latencies(
            model: .file(URL(fileURLWithPath: arguments[1])), recording: .file(URL(fileURLWithPath: arguments[2])))
        try await latencies.measure()
    }

    private func measure() async throws {
        let engine = try SottoEngine()
        let recognizer = try await SpeechRecognizer.load(model, engine: engine)
        try push(to: recognizer)
        try await event(of: recognizer)
        try await cancelLoad()
        for delay in [1, 20, 60, 150, 400] {
            try await cancelTranscription(by: recognizer, of: engine, after: .milliseconds(delay))
        }
    }

    /// 20 ms at a time, faster than they are heard, so that the worker is busy meanwhile.
    private func push(to recognizer: SpeechRecognizer) throws {
        let bytes = Data(repeating: 3, count: 640)
        try push("of 16-bit data", to: recognizer, format: .init()) { try $0.push(bytes) }
        let floats = [Float](repeating: 0.001, count: 320)
        try push("of floats", to: recognizer, format: .init(encoding: .float32)) { session in
            try floats.withUnsafeBufferPointer { try session.push($0) }
        }
    }

    private func push(
        _ what: String, to recognizer: SpeechRecognizer, format: PCMFormat, _ once: (SpeechSession) throws -> Void
    ) throws {
        var times: [Duration] = []
        for _ in 0..<10 {
            // Sessions are short, so that none is behind.
            let session = try recognizer.startSession(format: format)
            for _ in 0..<1000 { times.append(try ContinuousClock().measure { try once(session) }) }
            session.cancel()
        }
        say("push of 20 ms \(what)", times)
    }

    /// From the call that brings a session's end about to the task that waits for it.
    private func event(of recognizer: SpeechRecognizer) async throws {
        var times: [Duration] = []
        for _ in 0..<200 {
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

    private func cancelLoad() async throws {
        var times: [Duration] = []
        for delay in 0..<20 {
            let engine = try SottoEngine()
            let load = Task { [model] in _ = try await SpeechRecognizer.load(model, engine: engine) }
            try await Task.sleep(for: .milliseconds(delay))
            times.append(try await idle(engine, holding: 0) { load.cancel() })
        }
        say("cancel while loading, to idle", times)
    }

    private func cancelTranscription(
        by recognizer: SpeechRecognizer, of engine: SottoEngine, after delay: Duration
    ) async throws {
        let before = engine.memoryUsed
        var times: [Duration] = []
        for _ in 0..<10 {
            let ended = Flag()
            let transcription = Task { [recording] in
                var options = SpeechOptions()
                options.language = "en"
                _ = try await recognizer.transcribe(recording, options: options)
                ended.raise()
            }
            try await Task.sleep(for: delay)
            if !ended.isRaised { times.append(try await idle(engine, holding: before) { transcription.cancel() }) }
        }
        say("cancel \(delay) into a transcription, to idle", times)
    }

    private func idle(_ engine: SottoEngine, holding bytes: UInt64, _ cancel: () -> Void) async throws -> Duration {
        let start = ContinuousClock.now
        cancel()
        while engine.memoryUsed > bytes { usleep(100) }
        return ContinuousClock.now - start
    }

    private func say(_ what: String, _ times: [Duration]) {
        let sorted = times.sorted()
        guard let last = sorted.indices.last else { return print("\(what): nothing to measure") }
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

/// Says that something has happened, to another task.
private final class Flag: @unchecked Sendable {
    private let lock = NSLock()
    private var raised = false

    func raise() { lock.withLock { raised = true } }
    var isRaised: Bool { lock.withLock { raised } }
}

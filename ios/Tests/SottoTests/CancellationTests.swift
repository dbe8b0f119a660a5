import Foundation
import Sotto
import XCTest

final class CancellationTests: XCTestCase {
    func testACancelledTaskStopsItsTranscription() async throws {
        let recognizer = try await Fixtures.recognizer()
        let long = try longRecording()
        let task = Task { try await recognizer.transcribe(long) }
        try await Task.sleep(nanoseconds: 300_000_000)
        let begun = Date()
        task.cancel()
        await assertCancelled { try await task.value }
        print("cancel to answer: \(Int(Date().timeIntervalSince(begun) * 1000)) ms")
    }

    func testATaskThatWasCancelledBeforeDoesNotBegin() async throws {
        let recognizer = try await Fixtures.recognizer()
        let task = Task {
            while !Task.isCancelled { await Task.yield() }
            return try await recognizer.transcribe(.file(Fixtures.demo))
        }
        task.cancel()
        await assertCancelled { try await task.value }
    }

    func testACancelledLoadLeavesNothing() async throws {
        let engine = try SottoEngine(.init(threads: 1))
        let task = Task { try await SpeechRecognizer.load(.file(Fixtures.starter), engine: engine) }
        task.cancel()
        await assertCancelled { try await task.value }
        try await untilHeld(by: engine)
        XCTAssertEqual(engine.memoryUsed, 0)
    }

    func testLeavingALoopStopsTheSession() async throws {
        let engine = try SottoEngine(.init(threads: 2))
        let recognizer = try await SpeechRecognizer.load(.file(Fixtures.starter), engine: engine)
        let model = engine.memoryUsed
        let pcm = try Data(contentsOf: Fixtures.pcm)
        do {
            let session = try recognizer.startSession()
            try session.push(pcm)
            for try await _ in session.events { break }
        }
        try await untilHeld(by: engine, atMost: model)
        XCTAssertEqual(engine.memoryUsed, model, "the session has given back its memory")
    }

    func testWaitingForEventsOfAQuietSessionCanBeGivenUp() async throws {
        let recognizer = try await Fixtures.recognizer()
        let session = try recognizer.startSession()
        let waiting = Task { () -> LiveEvent? in
            var events = session.events.makeAsyncIterator()
            return try await events.next()
        }
        try await Task.sleep(nanoseconds: 50_000_000)
        waiting.cancel()
        await assertCancelled { try await waiting.value }
    }

    /// Loading, starting, pushing, finishing, cancelling, dropping, unloading and trimming at random moments, watched
    /// and traced or not: nothing crashes or hangs.
    /// SOTTO_ROUNDS says how often (10,000 before a release).
    func testRandomMoments() async throws {
        let rounds = ProcessInfo.processInfo.environment["SOTTO_ROUNDS"].flatMap(Int.init) ?? 300
        let engine = try SottoEngine(.init(threads: 2))
        let pcm = try Data(contentsOf: Fixtures.pcm).prefix(32_000)
        try await within(seconds: 60 + Double(rounds)) {
            var dice = Dice(seed: 13)
            let model = SpeechModel(.file(Fixtures.starter), engine: engine)
            var recognizer = try await model.load()
            // Somebody watches all the time, others come and go.
            let watching = Task {
                for await state in model.states { if case .failed(let error) = state { XCTFail("\(error)") } }
            }
            defer { watching.cancel() }
            for _ in 0..<rounds {
                let session: SpeechSession
                do {
                    session = try recognizer.startSession()
                } catch SottoError.unloaded {
                    // A trim has taken the idle model, as it says: it is loaded again, as apps do.
                    do { recognizer = try await model.load() } catch SottoError.cancelled {}
                    continue
                }
                let reader = Task {
                    var count = 0
                    for try await _ in session.events { count += 1 }
                    return count
                }
                var trace: SpanTrace?
                for _ in 0..<dice.next(5) {
                    switch dice.next(9) {
                    case 0, 1: try? session.push(Data(pcm.prefix(dice.next(pcm.count))))
                    case 2: session.finish()
                    case 3: engine.trim(.idle)
                    case 4: session.cancel()
                    case 5: trace = SottoEngine.trace(with: Deaf())
                    case 6: if dice.next(10) == 0 { model.unload() }
                    case 7:
                        let load = Task { try await model.load() }
                        if dice.next(2) == 0 { load.cancel() }
                    default: reader.cancel()
                    }
                }
                if dice.next(2) == 0 { session.finish() } else { session.cancel() }
                do { _ = try await reader.value } catch { XCTAssertEqual(error as? SottoError, .cancelled) }
                withExtendedLifetime(trace) {}
            }
        }
    }

    /// Objects that are made and let go leave nothing behind.
    func testTenThousandObjectsLeaveNothing() async throws {
        let recognizer = try await Fixtures.recognizer()
        func make(_ count: Int) throws {
            for _ in 0..<count {
                let engine = try SottoEngine(.init(threads: 1))
                XCTAssertEqual(engine.memoryUsed, 0)
            }
        }
        _ = try recognizer.info()
        try make(2_000)
        let before = residentBytes()
        try make(10_000)
        let grown = residentBytes() - before
        XCTAssertLessThan(grown, 8 << 20, "\(grown) bytes more than before")
    }

    /// The demo recording forty times: more than five minutes.
    private func longRecording() throws -> AudioSource {
        let pcm = try Data(contentsOf: Fixtures.pcm)
        return .samples((0..<40).reduce(into: Data()) { data, _ in data.append(pcm) }, format: PCMFormat())
    }
}

/// A tracer that does nothing.
private struct Deaf: SpanTracer {
    func begin(_ span: Span, id: UInt64) {}
    func end(_ span: Span, _ interval: Void) {}
}

/// Numbers that a seed decides.
struct Dice {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// A number below `limit`.
    mutating func next(_ limit: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int((state >> 33) % UInt64(limit))
    }
}

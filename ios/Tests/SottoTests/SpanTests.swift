import Foundation
import Sotto
import XCTest

/// Where the time goes, as tracers hear it. `OSSignposter` is driven by the same code where there is one.
final class SpanTests: XCTestCase {
    /// Records what it is told.
    private final class Recorder: SpanTracer {
        struct Interval {
            var id: UInt64
            var thread: pthread_t
        }

        let begun = Locked<[Span]>([])
        let ended = Locked<[Span]>([])
        let wrongThread = Locked<Int>(0)

        func begin(_ span: Span, id: UInt64) -> Interval {
            begun.withLock { $0.append(span) }
            return Interval(id: id, thread: pthread_self())
        }

        func end(_ span: Span, _ interval: Interval) {
            ended.withLock { $0.append(span) }
            if interval.thread != pthread_self() { wrongThread.withLock { $0 += 1 } }
        }
    }

    func testATracerHearsEveryStepWhileItIsHeldAndNothingAfterwards() async throws {
        let tracer = Recorder()
        let engine = try SottoEngine(.init(threads: 2))
        var options = SpeechOptions()
        options.timestamps = .word
        let recognizer: SpeechRecognizer
        do {
            let trace = SottoEngine.trace(with: tracer)
            recognizer = try await SpeechRecognizer.load(.file(Fixtures.starter), engine: engine)
            _ = try await recognizer.transcribe(.file(Fixtures.demo), options: options)
            withExtendedLifetime(trace) {}
        }
        let (begun, ended) = (tracer.begun.withLock { $0 }, tracer.ended.withLock { $0 })
        for span in [Span.load, .mel, .encode, .decode] { XCTAssertTrue(ended.contains(span), "\(span) in \(ended)") }
        XCTAssertEqual(begun.count, ended.count)
        XCTAssertEqual(tracer.wrongThread.withLock { $0 }, 0)
        _ = try await recognizer.transcribe(.file(Fixtures.demo), options: options)
        XCTAssertEqual(tracer.begun.withLock { $0.count }, begun.count)
    }

    func testTwoTracersHearTheSame() async throws {
        let tracers = [Recorder(), Recorder()]
        let traces = tracers.map { SottoEngine.trace(with: $0) }
        let recognizer = try await Fixtures.recognizer()
        _ = try await recognizer.transcribe(.file(Fixtures.demo))
        withExtendedLifetime(traces) {}
        let heard = tracers.map { $0.ended.withLock { $0 } }
        XCTAssertFalse(heard[0].isEmpty)
        XCTAssertEqual(heard[0], heard[1])
    }

    func testNamesAreThoseOfTracesAndReports() {
        for span in Span.allCases { XCTAssertEqual(span.rawValue, "\(span.name)") }
    }
}

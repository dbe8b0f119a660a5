internal import Foundation
internal import SottoBindings

#if canImport(os)
    public import os
#endif

/// A stretch of work of the library, as tracers name it.
public enum Span: String, Sendable, CaseIterable {
    /// Reading a model until it can work.
    case load = "sotto.load"
    /// Features of audio that has been read.
    case mel = "sotto.mel"
    /// The encoder over one window.
    case encode = "sotto.encode"
    /// The text of one window.
    case decode = "sotto.decode"
    /// Times of words.
    case align = "sotto.align"

    /// The name once more, as signposts want it.
    public var name: StaticString {
        switch self {
        case .load: "sotto.load"
        case .mel: "sotto.mel"
        case .encode: "sotto.encode"
        case .decode: "sotto.decode"
        case .align: "sotto.align"
        }
    }
}

/// Takes the time of stretches of work: a tracer, or what a test puts in its place.
///
/// Called on the threads that work, when a stretch begins and ends: return at once, and do not call Sotto.
public protocol SpanTracer: Sendable {
    /// What the end of a stretch must know of its beginning.
    associatedtype Interval

    /// A stretch begins; `id` is another one for every stretch of the process.
    func begin(_ span: Span, id: UInt64) -> Interval

    /// It ends, on the thread where it began.
    func end(_ span: Span, _ interval: Interval)
}

/// A tracer is told for as long as somebody holds this. Letting go of it waits until it is told nothing any more.
public final class SpanTrace: Sendable {
    private let subscription: SpanSubscription

    init(_ tracer: some SpanTracer) {
        subscription = listenToSpans(listener: TracerListener(tracer))
    }
}

extension SottoEngine {
    /// Tells `tracer` where the time of all engines goes, for as long as what is returned is held. Nobody is told
    /// before, and a stretch then costs next to nothing; with a tracer it costs what that does.
    ///
    /// ```swift
    /// let trace = SottoEngine.trace(with: OSSignposter(subsystem: "dev.sotto", category: "speech"))
    /// ```
    public static func trace(with tracer: some SpanTracer) -> SpanTrace {
        SpanTrace(tracer)
    }
}

#if canImport(os)
    /// Intervals in Instruments (*os_signpost*): load, mel, encode, decode and align of each window.
    extension OSSignposter: SpanTracer {
        /// Begins an interval.
        public func begin(_ span: Span, id: UInt64) -> OSSignpostIntervalState {
            beginInterval(span.name, id: OSSignpostID(id))
        }

        /// Ends it.
        public func end(_ span: Span, _ interval: OSSignpostIntervalState) {
            endInterval(span.name, interval)
        }
    }
#endif

/// Hears for a tracer, and keeps what it wants to know at the end.
private final class TracerListener<Tracer: SpanTracer>: SpanListener, @unchecked Sendable {
    private let tracer: Tracer
    private let lock = NSLock()
    private var intervals: [UInt64: Tracer.Interval] = [:]

    init(_ tracer: Tracer) {
        self.tracer = tracer
    }

    func begin(kind: SpanKind, id: UInt64) {
        let interval = tracer.begin(Span(kind), id: id)
        lock.withLock { intervals[id] = interval }
    }

    func end(kind: SpanKind, id: UInt64) {
        guard let interval = lock.withLock({ intervals.removeValue(forKey: id) }) else { return }
        tracer.end(Span(kind), interval)
    }
}

extension Span {
    init(_ kind: SpanKind) {
        self =
            switch kind {
            case .load: .load
            case .mel: .mel
            case .encode: .encode
            case .decode: .decode
            case .align: .align
            }
    }
}

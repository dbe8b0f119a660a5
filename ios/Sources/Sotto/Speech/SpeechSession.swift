public import Foundation
internal import SottoBindings

/// One report of a live session.
public enum LiveEvent: Sendable, Equatable {
    /// What the model makes of the speech behind the final text at the moment; replaces the last volatile text. Empty
    /// when the last one was taken back.
    case volatile(LiveText)
    /// Text that will not change; follows the last final text.
    case final(LiveText)

    /// The text of either.
    public var text: LiveText {
        switch self {
        case .volatile(let text), .final(let text): text
        }
    }

    init(_ raw: SottoBindings.LiveEvent) {
        self =
            switch raw {
            case .volatile(_, let text): .volatile(LiveText(text))
            case .final(_, let text): .final(LiveText(text))
            }
    }
}

/// A live transcription: samples in, events out, from any task or thread. Letting go of it stops the work.
public final class SpeechSession: Sendable {
    private let raw: any SpeechSessionProtocol

    init(_ raw: any SpeechSessionProtocol) {
        self.raw = raw
    }

    deinit {
        raw.cancel()
    }

    /// Hands over samples in the format of the session; a piece may end anywhere. Copies them and returns: safe on an
    /// audio thread. Nothing is taken when it fails.
    public func push(_ samples: Data) throws(SottoError) {
        try call { try raw.pushPcm(pcm: samples) }
    }

    /// The same for samples of a session whose format is `float32`.
    public func push(_ samples: UnsafeBufferPointer<Float>) throws(SottoError) {
        guard let base = samples.baseAddress, !samples.isEmpty else { return }
        // Lent for the call alone: the library copies what it takes.
        let data = Data(
            bytesNoCopy: UnsafeMutableRawPointer(mutating: base),
            count: samples.count * MemoryLayout<Float>.stride, deallocator: .none)
        try push(data)
    }

    /// Says that no more samples come: what waits becomes final. Returns at once.
    public func finish() {
        raw.finish()
    }

    /// Stops within one token and throws away what waits. Returns at once.
    public func cancel() {
        raw.cancel()
    }

    /// The events, which end after ``finish()``. Several loops share them: each event goes to one.
    public var events: Events {
        Events(session: self)
    }

    /// Events of a live session. A task that is cancelled cancels the session.
    public struct Events: AsyncSequence, Sendable {
        /// What the loop is given.
        public typealias Element = LiveEvent

        let session: SpeechSession

        /// Pulls them.
        public func makeAsyncIterator() -> Iterator {
            Iterator(session: session)
        }

        /// Pulls events.
        public struct Iterator: AsyncIteratorProtocol {
            let session: SpeechSession

            /// The next event, when there is one; nil after the last of a finished session.
            public mutating func next() async throws(SottoError) -> LiveEvent? {
                let raw = session.raw
                return try await pull(cancel: { raw.cancel() }, { try await raw.nextEvent() }).map(LiveEvent.init)
            }
        }
    }
}

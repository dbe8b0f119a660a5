internal import SottoBindings

/// A recording that is being transcribed; iterate over it for its events. Letting go of it stops the work.
public final class Transcription: AsyncSequence, Sendable {
    /// One report of a transcription.
    public enum Event: Sendable, Equatable {
        /// The part of the recording that is done, 0 to 1; nil where its length is not known.
        case progress(Double?)
        /// A stretch of speech that is final.
        case segment(Segment)
        /// The whole text, the last event.
        case finished(Transcript)
    }

    /// What the loop is given.
    public typealias Element = Event

    private let raw: SottoBindings.Transcription

    init(_ raw: SottoBindings.Transcription) {
        self.raw = raw
    }

    deinit {
        raw.cancel()
    }

    /// Stops within one token. Returns at once.
    public func cancel() {
        raw.cancel()
    }

    /// Pulls its events. Several share them: each event goes to one.
    public func makeAsyncIterator() -> Iterator {
        Iterator(transcription: self)
    }

    /// Pulls events. A task that is cancelled cancels the transcription.
    public struct Iterator: AsyncIteratorProtocol {
        let transcription: Transcription

        /// The next event, when there is one; nil after the last.
        public mutating func next() async throws(SottoError) -> Event? {
            let raw = transcription.raw
            return try await pull(cancel: { raw.cancel() }, { try await raw.nextEvent() }).map(Event.init)
        }
    }
}

extension Transcription.Event {
    init(_ raw: TranscriptionEvent) {
        self =
            switch raw {
            case .progress(let done, let total):
                .progress(total.map { $0 == 0 ? 1 : Double(done) / Double($0) })
            case .segment(let segment): .segment(Segment(segment))
            case .finished(let transcript): .finished(Transcript(transcript))
            }
    }
}

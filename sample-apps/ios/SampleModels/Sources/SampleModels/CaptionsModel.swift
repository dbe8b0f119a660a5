import Foundation
import Observation
import Sotto

/// Live captions: final text in black, what may still change behind it in grey.
@MainActor @Observable
public final class CaptionsModel {
    /// What the captions are doing.
    public enum State: Equatable {
        case idle
        case loading
        case listening
        case failed(String)
    }

    /// Samples to listen to, and their format.
    public struct Audio: Sendable {
        public let samples: AsyncThrowingStream<Data, any Error>
        public let format: PCMFormat

        public init(samples: AsyncThrowingStream<Data, any Error>, format: PCMFormat) {
            self.samples = samples
            self.format = format
        }
    }

    public private(set) var state = State.idle
    /// Text that will not change.
    public private(set) var finalText = "" {
        didSet { saved?.content.finalText = finalText }
    }
    /// Text behind it that may still change.
    public private(set) var volatileText = ""

    private let load: @Sendable () async throws -> SpeechRecognizer
    private let listen: @Sendable () async throws -> Audio
    private let saved: SavedState?
    private var task: Task<Void, Never>?

    /// `load` gives the model, `listen` the microphone, or whatever a test puts in its place. Text that was `saved` is
    /// there again.
    public init(
        saved: SavedState? = nil,
        load: @escaping @Sendable () async throws -> SpeechRecognizer,
        listen: @escaping @Sendable () async throws -> Audio
    ) {
        self.saved = saved
        self.load = load
        self.listen = listen
        finalText = saved?.content.finalText ?? ""
    }

    public var isRunning: Bool { state == .loading || state == .listening }

    /// Begins, or stops what has begun.
    public func toggle() {
        if isRunning { stop() } else { start() }
    }

    public func start() {
        guard !isRunning else { return }
        state = .loading
        finalText = ""
        volatileText = ""
        task = Task { await run() }
    }

    /// Stops listening; what was final stays.
    public func stop() {
        task?.cancel()
        task = nil
        volatileText = ""
        state = .idle
    }

    /// Waits until the captions have ended by themselves or were stopped.
    public func finished() async {
        await task?.value
    }

    private func run() async {
        do {
            let recognizer = try await load()
            let audio = try await listen()
            try Task.checkCancellation()
            state = .listening
            for try await event in recognizer.listen(to: audio.samples, format: audio.format) {
                switch event {
                case .volatile(let text): volatileText = text.text
                case .final(let text):
                    finalText += text.text
                    volatileText = ""
                }
            }
            if state == .listening { state = .idle }
        } catch {
            if Task.isCancelled || error is CancellationError || error as? SottoError == .cancelled { return }
            state = .failed(message(of: error))
        }
    }
}

/// What a person is told of an error: what it is, and what to do.
func message(of error: any Error) -> String {
    switch error {
    case let error as SottoError: "\(error)\n\(error.nextStep)"
    case let error as StoreError: "\(error)\n\(error.nextStep)"
    default: error.localizedDescription
    }
}

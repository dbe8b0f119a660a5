import Foundation

/// A model that an app uses time and again, loaded or not: it is loaded when it is first needed, and again after its
/// memory was given back. Its ``states`` are there to be drawn. May be used from any task or thread.
///
/// ```swift
/// let model = SpeechModel(.file(url))
/// let text = try await model.load().transcribe(.file(recording)).text
/// ```
public final class SpeechModel: @unchecked Sendable {
    /// Where it is.
    public let source: ModelSource

    private let engine: SottoEngine
    private let lock = NSLock()
    private var recognizer: SpeechRecognizer?
    private var loads: [UUID: Task<SpeechRecognizer, any Error>] = [:]

    /// A model of an engine. Loads nothing yet.
    public init(_ source: ModelSource, engine: SottoEngine = .shared) {
        self.source = source
        self.engine = engine
    }

    deinit {
        for load in loads.values { load.cancel() }
    }

    /// What has become of it.
    public var state: ModelState { engine.state(of: source) }

    /// The same as it changes; see ``SottoEngine/states(of:)``.
    public var states: AsyncStream<ModelState> { engine.states(of: source) }

    /// The loaded model; it is loaded where it is not. Who calls meanwhile waits for the same file. This object keeps
    /// it until it is told to ``unload()``. Cancelling the task stops the load that it began.
    ///
    /// Throws why it cannot be loaded; ``SottoError/cancelled`` where ``unload()`` stopped it, too.
    public func load() async throws(SottoError) -> SpeechRecognizer {
        if let recognizer = lock.withLock({ recognizer }), recognizer.state == .ready { return recognizer }
        let number = UUID()
        let load = Task { [source, engine] in try await SpeechRecognizer.load(source, engine: engine) }
        lock.withLock { loads[number] = load }
        defer { lock.withLock { loads[number] = nil } }
        do {
            let loaded = try await withTaskCancellationHandler { try await load.value } onCancel: { load.cancel() }
            return try keep(loaded, of: number)
        } catch {
            throw SottoError(error)
        }
    }

    /// Gives its memory back, even where others use the same file; transcriptions under way end first. Stops a load
    /// that is under way. Returns at once.
    public func unload() {
        let (held, stopped) = lock.withLock {
            defer { (recognizer, loads) = (nil, [:]) }
            return (recognizer, loads.values)
        }
        for load in stopped { load.cancel() }
        held?.unload()
    }

    private func keep(_ loaded: SpeechRecognizer, of load: UUID) throws(SottoError) -> SpeechRecognizer {
        // In one step: an `unload()` in between would go by unseen.
        let kept: SpeechRecognizer? = lock.withLock {
            guard loads[load] != nil else { return nil }
            // The first of several that waited for the same stays.
            if recognizer?.state != .ready { recognizer = loaded }
            return recognizer
        }
        guard let kept else { throw .cancelled }
        return kept
    }
}

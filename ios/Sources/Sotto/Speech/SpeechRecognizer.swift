public import Foundation
internal import SottoBindings

/// A loaded speech-to-text model. Any number of transcriptions may use it at once, from any task. It gives its memory
/// back when nobody holds it any more, or when it is told to ``unload()``.
///
/// ```swift
/// let recognizer = try await SpeechRecognizer.load(.file(url))
/// let text = try await recognizer.transcribe(.file(recording)).text
/// ```
public final class SpeechRecognizer: Sendable {
    /// What is known of a model.
    public struct Info: Sendable, Equatable {
        /// Whether it knows other languages than English.
        public var multilingual: Bool
        /// Seconds of audio that it hears at once.
        public var windowSeconds: Double
        /// Layers of encoder and decoder.
        public var layers: [UInt32]
        /// Width of the network.
        public var width: UInt32
        /// Tokens of the vocabulary.
        public var vocabulary: UInt32
        /// Bytes that one transcription with default options takes on top of the model's own.
        public var transcriptionBytes: UInt64
        /// Licence of a packed model, where its file names one.
        public var licence: String?
        /// Why the device that was asked for does not compute.
        public var deviceProblem: String?
    }

    /// What language a recording is in.
    public struct DetectedLanguage: Sendable, Equatable {
        /// Two- or three-letter code.
        public var code: String
        /// Its probability among all languages of the model.
        public var probability: Float
    }

    private let raw: SottoBindings.SpeechModel
    /// Where the states of the engine's models are, and which one this model's is.
    let board: StateBoard
    let key: String

    private init(_ raw: SottoBindings.SpeechModel, board: StateBoard, key: String) {
        self.raw = raw
        self.board = board
        self.key = key
    }

    deinit {
        board.gone(key, ObjectIdentifier(self))
    }

    /// Loads a model; one that the engine holds already is shared. `progress` is told the part that is done, 0 to 1, in
    /// the calling task. Cancelling the task stops it.
    public static func load(
        _ source: ModelSource, engine: SottoEngine = .shared, progress: (@Sendable (Double) -> Void)? = nil
    ) async throws(SottoError) -> SpeechRecognizer {
        let (board, key) = (engine.states, source.key)
        let number = board.begin(key)
        do throws(SottoError) {
            let load = try call { try engine.raw.loadSpeech(location: source.location) }
            while let event = try await pull(cancel: { load.cancel() }, { try await load.nextEvent() }) {
                switch event {
                case .progress(let done, let total):
                    guard let total, total > 0 else { continue }
                    let part = min(Double(done) / Double(total), 1)
                    board.progress(key, load: number, part)
                    progress?(part)
                case .loaded(let model):
                    let recognizer = SpeechRecognizer(model, board: board, key: key)
                    board.loaded(key, load: number, recognizer)
                    return recognizer
                }
            }
            throw .internal(reason: "loading ended without a model", nextStep: "report it with this text")
        } catch {
            board.failed(key, load: number, error)
            throw error
        }
    }

    /// The text of a recording. Cancelling the task stops it within one token.
    public func transcribe(
        _ audio: AudioSource, channel: AudioChannel = .mix, options: SpeechOptions = .init()
    ) async throws(SottoError) -> Transcript {
        var events = try transcription(of: audio, channel: channel, options: options).makeAsyncIterator()
        while let event = try await events.next() {
            if case .finished(let transcript) = event { return transcript }
        }
        throw .internal(reason: "a transcription ended without a text", nextStep: "report it with this text")
    }

    /// A transcription that tells how far it is: iterate over it. It begins at once.
    public func transcription(
        of audio: AudioSource, channel: AudioChannel = .mix, options: SpeechOptions = .init()
    ) throws(SottoError) -> Transcription {
        Transcription(
            try call { try raw.transcribe(input: audio.input, channel: channel.raw, settings: options.raw) })
    }

    /// A live session: push samples, iterate over its events.
    public func startSession(
        format: PCMFormat = .init(), options: LiveOptions = .init()
    ) throws(SottoError) -> SpeechSession {
        SpeechSession(try call { try raw.startSession(format: format.raw, settings: options.raw) })
    }

    /// Live text of `audio`, which ends when that does. Cancelling the task, or leaving the loop, stops both.
    ///
    /// ```swift
    /// for try await event in recognizer.listen(to: Microphone().samples()) {
    ///     switch event {
    ///     case .volatile(let text): draw(text)
    ///     case .final(let text): keep(text)
    ///     }
    /// }
    /// ```
    public func listen<Audio: AsyncSequence & Sendable>(
        to audio: Audio, format: PCMFormat = .init(), options: LiveOptions = .init()
    ) -> AsyncThrowingStream<LiveEvent, any Error> where Audio.Element == Data {
        AsyncThrowingStream { continuation in
            let task = Task {
                do {
                    let session = try startSession(format: format, options: options)
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        group.addTask {
                            for try await samples in audio { try session.push(samples) }
                            session.finish()
                        }
                        group.addTask {
                            for try await event in session.events { continuation.yield(event) }
                        }
                        defer { session.cancel() }
                        // Whichever fails first ends the other, too: `waitForAll` would wait for it.
                        while try await group.next() != nil {}
                    }
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: error)
                }
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }

    /// The language of a recording.
    public func detectLanguage(
        of audio: AudioSource, channel: AudioChannel = .mix
    ) async throws(SottoError) -> DetectedLanguage {
        let detection = try call { try raw.detectLanguage(input: audio.input, channel: channel.raw) }
        let language = try await pull(cancel: { detection.cancel() }, { try await detection.result() })
        return DetectedLanguage(code: language.code, probability: language.probability)
    }

    /// What is known of the model.
    public func info() throws(SottoError) -> Info {
        let info = try call { try raw.info() }
        return Info(
            multilingual: info.multilingual, windowSeconds: info.windowSeconds, layers: info.layers,
            width: info.width, vocabulary: info.vocabulary, transcriptionBytes: info.transcriptionBytes,
            licence: info.licence, deviceProblem: info.deviceProblem)
    }

    /// Tells whether the app is in the foreground; a graphics processor computes only then.
    public func setForeground(_ foreground: Bool) {
        raw.setForeground(foreground: foreground)
    }

    /// Gives the model's memory back even where others hold it; transcriptions under way end first. Returns at once.
    public func unload() {
        raw.unload()
        board.look()
    }
}

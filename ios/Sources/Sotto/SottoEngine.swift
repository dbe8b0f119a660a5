public import Foundation
internal import SottoBindings

/// What one app has one of: threads, a memory budget, a list of loaded models. May be used from any task or thread.
///
/// ``shared`` suits most apps. An engine of your own comes before the first use of a model:
///
/// ```swift
/// let engine = try SottoEngine(.init(memoryLimit: 200_000_000))
/// let recognizer = try await SpeechRecognizer.load(.file(url), engine: engine)
/// ```
public final class SottoEngine: Sendable {
    /// Settings of an engine. What is nil is the default.
    public struct Options: Sendable, Equatable {
        /// How models compute.
        public enum Precision: Sendable, Equatable {
            /// 8-bit weights and activations: fast, small, and with no more errors.
            case int8
            /// 32-bit floating point: the reference. Not for packed models.
            case float32
        }

        /// Threads that compute together; 0 for the number of big cores.
        public var threads: UInt32
        /// Most bytes that all models and transcriptions may hold together.
        public var memoryLimit: UInt64?
        /// How models compute.
        public var precision: Precision
        /// Where folders and ggml files are kept packed, so that they load in milliseconds from the second time on: a
        /// folder of the app's caches.
        public var cacheFolder: URL?
        /// Most bytes of that folder.
        public var cacheLimit: UInt64?
        /// Instruction set to compute with, by its name; for tests and comparisons.
        public var instructionSet: String?

        /// What is not named is the default.
        public init(
            threads: UInt32 = 0, memoryLimit: UInt64? = nil, precision: Precision = .int8, cacheFolder: URL? = nil,
            cacheLimit: UInt64? = nil, instructionSet: String? = nil
        ) {
            self.threads = threads
            self.memoryLimit = memoryLimit
            self.precision = precision
            self.cacheFolder = cacheFolder
            self.cacheLimit = cacheLimit
            self.instructionSet = instructionSet
        }
    }

    /// How much memory an app is asked to give back.
    public enum TrimLevel: Sendable, Equatable {
        /// Pages of mapped models that nobody computes with at the moment.
        case pages
        /// Models without a user, too.
        case unused
        /// Every model that does not compute right now, too: its users are told that it was unloaded.
        case idle
    }

    /// What trimming gave back.
    public struct Trimmed: Sendable, Equatable {
        /// Models that were unloaded.
        public var models: UInt32
        /// Bytes of the budget that are free again.
        public var memory: UInt64
        /// Bytes of mapped files that the system may take.
        public var pages: UInt64
    }

    /// A model that an engine holds.
    public struct LoadedModel: Sendable, Equatable, Identifiable {
        /// Its number within this engine.
        public var id: UInt64
        /// File or folder.
        public var name: String
        /// Bytes of the budget that it holds.
        public var bytes: UInt64
        /// Objects that use it.
        public var handles: UInt32
        /// Transcriptions under way.
        public var running: UInt32
        /// Seconds since it was used last.
        public var idleSeconds: Double
    }

    /// What a model would take.
    public struct MemoryEstimate: Sendable, Equatable {
        /// Bytes at the peak while it is loaded.
        public var loading: UInt64
        /// Bytes of the loaded model.
        public var model: UInt64
        /// Bytes of each transcription with default options, on top.
        public var session: UInt64
        /// Bytes that must be free to load it and transcribe.
        public var peak: UInt64
    }

    /// The engine that everything uses unless another one is named: no memory limit, no cache.
    public static let shared: SottoEngine = {
        // The default options name nothing that could be wrong.
        do { return try SottoEngine() } catch { preconditionFailure("\(error)") }
    }()

    let raw: Engine
    let states = StateBoard()

    /// An engine with these options. Loads nothing.
    public init(_ options: Options = .init()) throws(SottoError) {
        let cacheFolder = try options.cacheFolder?.localPath { reason in
            SottoError.invalidOption(option: "cacheFolder", reason: reason, nextStep: "name a folder of the app")
        }
        raw = try call {
            try Engine(
                settings: EngineSettings(
                    threads: options.threads, memoryLimit: options.memoryLimit,
                    precision: options.precision == .float32 ? .float32 : .int8,
                    cacheFolder: cacheFolder, cacheLimit: options.cacheLimit,
                    instructionSet: options.instructionSet))
        }
    }

    /// The models that this engine holds, the last used one first.
    public var loadedModels: [LoadedModel] {
        raw.loadedModels().map {
            LoadedModel(
                id: $0.id, name: $0.name, bytes: $0.bytes, handles: $0.handles, running: $0.running,
                idleSeconds: $0.idleSeconds)
        }
    }

    /// Bytes that models and transcriptions hold at the moment.
    public var memoryUsed: UInt64 { raw.memory().used }

    /// Most bytes that they may hold; nil where nothing limits them.
    public var memoryLimit: UInt64? { raw.memory().limit }

    /// Gives memory back. Returns at once; what computes goes on.
    @discardableResult
    public func trim(_ level: TrimLevel) -> Trimmed {
        let trimmed = raw.trim(
            level: {
                switch level {
                case .pages: .pages
                case .unused: .unused
                case .idle: .idle
                }
            }())
        states.look()
        return Trimmed(models: trimmed.models, memory: trimmed.memory, pages: trimmed.pages)
    }

    /// Unloads the model with this number (``LoadedModel/id``), whoever uses it; transcriptions under way end first.
    /// Returns at once; false where there is no such model any more.
    @discardableResult
    public func unload(_ id: LoadedModel.ID) -> Bool {
        defer { states.look() }
        return raw.unloadModel(id: id)
    }

    /// Bytes that a model would take, without loading it. Reads its header: milliseconds, on the calling thread.
    public func estimate(_ source: ModelSource) throws(SottoError) -> MemoryEstimate {
        let estimate = try call { try raw.estimateSpeech(location: source.location) }
        return MemoryEstimate(
            loading: estimate.loading, model: estimate.model, session: estimate.session, peak: estimate.peak)
    }

    /// Why a model could not be kept packed in the cache since this was asked last; it was loaded all the same.
    public func takeCacheProblem() -> String? { raw.takeCacheProblem() }

    /// Stretches of speech in a recording, without a speech-to-text model.
    public func findSpeech(
        in audio: AudioSource, channel: AudioChannel = .mix, options: VoiceActivityOptions = .init()
    ) async throws(SottoError) -> [ClosedRange<Double>] {
        let search = try call {
            try raw.findSpeech(input: audio.input, channel: channel.raw, activity: options.raw)
        }
        var segments: [ClosedRange<Double>] = []
        while let event = try await pull(cancel: { search.cancel() }, { try await search.nextEvent() }) {
            if case .speech(let segment) = event { segments.append(segment.start...segment.end) }
        }
        return segments
    }

    /// The instruction set that this processor computes with.
    public static var instructionSet: String { processor().instructionSet }

    /// What was found wrong with a better instruction set; nil where nothing was.
    public static var processorNotice: String? { processor().notice }

    /// Version of the library.
    public static var version: String { SottoBindings.version() }

    /// How much the library logs, to the unified log under the subsystem `dev.sotto`. Nothing that a user says is ever
    /// logged. Off until this is called.
    public static func setLogLevel(_ level: LogLevel) {
        SottoBindings.setLogLevel(level: level.raw)
    }
}

/// How much the library logs.
public enum LogLevel: Sendable, Equatable {
    /// Nothing.
    case off
    /// What failed.
    case error
    /// What was worked around, too.
    case warn
    /// What was loaded and unloaded, too.
    case info
    /// Steps of the engine, too.
    case debug

    var raw: SottoBindings.LogLevel {
        switch self {
        case .off: .off
        case .error: .error
        case .warn: .warn
        case .info: .info
        case .debug: .debug
        }
    }
}

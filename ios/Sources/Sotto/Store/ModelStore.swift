public import Foundation
internal import SottoBindings

#if canImport(FoundationNetworking)
    public import FoundationNetworking
#endif

/// A folder of models. Several processes may share one, such as an app and its extension.
public final class ModelStore: Sendable {
    /// A version of a model.
    public struct Model: Sendable, Equatable, Identifiable {
        /// Name and version.
        public var id: String { "\(name)@\(version)" }
        /// Name, without the version.
        public var name: String
        /// The version: a publisher's commit, or what an import was called.
        public var version: String
        /// Whether the name alone means this version.
        public var active: Bool
        /// Whether a rollback leads to this version.
        public var previous: Bool
        /// What ``SpeechRecognizer/load(_:engine:progress:)`` takes.
        public var source: ModelSource { .file(url) }
        /// Where it is: a folder or a file.
        public var url: URL
        /// Bytes of its files; nil where that is not known.
        public var bytes: UInt64?
        /// Its licence, where it names one.
        public var licence: String?
        /// What is missing or of the wrong length; empty for a sound version.
        public var problems: [String]

        init(_ raw: StoredModel) {
            name = raw.name
            version = raw.version
            active = raw.active
            previous = raw.previous
            url = URL(fileURLWithPath: raw.path)
            bytes = raw.bytes
            licence = raw.licence
            problems = raw.problems
        }
    }

    /// How far a pull or an import is.
    public enum Progress: Sendable, Equatable {
        /// Bytes that have arrived, and all there are, where that is known.
        case bytes(UInt64, of: UInt64?)
        /// Bytes that were compared with their hashes.
        case checked(UInt64, of: UInt64?)
    }

    private let raw: SottoBindings.ModelStore

    /// The store in a folder of the app, which need not exist yet. Writes nothing.
    public init(folder: URL, engine: SottoEngine = .shared) throws(StoreError) {
        let path = try folder.localPath { reason in
            StoreError.invalidName(reason: reason, nextStep: "name a folder of the app")
        }
        raw = try call(as: StoreError.self) { try engine.raw.openStore(folder: path) }
    }

    /// The model that a name means: `openai/whisper-tiny.en`, `whisper-tiny.en`, or `name@version`. No network.
    public func source(of name: String) throws(StoreError) -> ModelSource {
        .file(URL(fileURLWithPath: try call(as: StoreError.self) { try raw.resolve(name: name) }))
    }

    /// All versions of all models.
    public func models() throws(StoreError) -> [Model] {
        try call(as: StoreError.self) { try raw.list() }.map(Model.init)
    }

    /// Makes `version` the one that the name alone means.
    @discardableResult
    public func activate(_ name: String, version: String) throws(StoreError) -> Model {
        Model(try call(as: StoreError.self) { try raw.activate(name: name, version: version) })
    }

    /// Goes back to the version that was active before.
    @discardableResult
    public func rollback(_ name: String) throws(StoreError) -> Model {
        Model(try call(as: StoreError.self) { try raw.rollback(name: name) })
    }

    /// Removes a model, or one version of it (`name@version`); the bytes that are free again.
    @discardableResult
    public func remove(_ name: String) throws(StoreError) -> UInt64 {
        try call(as: StoreError.self) { try raw.remove(name: name) }
    }

    /// Reads every file of a model and compares it with its hash; the bytes that were.
    @discardableResult
    public func verify(_ name: String) async throws(StoreError) -> UInt64 {
        let check = raw.verify(name: name)
        return try await pull(as: StoreError.self, cancel: { check.cancel() }, { try await check.result() })
    }

    /// Takes in a model that is on the device already: a file, or a folder whose files are the model. With `moving` it
    /// is moved instead of copied.
    @discardableResult
    public func importModel(
        at url: URL, as name: String, licence: String? = nil, moving: Bool = false,
        progress: (@Sendable (Progress) -> Void)? = nil
    ) async throws(StoreError) -> Model {
        let settings = ImportSettings(name: name, licence: licence, take: moving)
        let path = try url.localPath { reason in
            StoreError.notFound(reason: reason, nextStep: "fetch the model first, or pull it")
        }
        let job = try call(as: StoreError.self) { try raw.import(file: .path(path: path), settings: settings) }
        while let event = try await pull(as: StoreError.self, cancel: { job.cancel() }, { try await job.nextEvent() }) {
            switch event {
            case .progress(let done, let total): progress?(.bytes(done, of: total))
            case .finished(let model, _): return Model(model)
            }
        }
        throw .internal(reason: "an import ended without a model", nextStep: "report it with this text")
    }

    /// Fetches a model: `owner/name`, with `/file` and `@revision` where wanted. `session` carries out the requests;
    /// what comes is checked against the hashes that the publisher states, and a pull that was stopped goes on where it
    /// was. With `from` it comes from a folder instead of a hub: an `https` address or a path on the device, where a
    /// version of a store was copied to, with its `sotto.json`; then there is no `endpoint`. `token` is sent to the hub
    /// or the folder alone.
    @discardableResult
    public func pullModel(
        _ reference: String, endpoint: String? = nil, token: String? = nil, update: Bool = false, from: String? = nil,
        configuration: URLSessionConfiguration = .ephemeral, progress: (@Sendable (Progress) -> Void)? = nil
    ) async throws(StoreError) -> Model {
        let settings = PullSettings(endpoint: endpoint, token: token, update: update, from: from)
        let job = try call(as: StoreError.self) { try raw.pull(reference: reference, settings: settings) }
        let carrier = Carrier(job, configuration: configuration)
        defer { carrier.stop() }
        while let event = try await pull(as: StoreError.self, cancel: { job.cancel() }, { try await job.nextEvent() }) {
            switch event {
            case .progress(let done, let total, let checking):
                progress?(checking ? .checked(done, of: total) : .bytes(done, of: total))
            case .fetch(let id, let request): carrier.fetch(id, request)
            case .abandon(let id): carrier.abandon(id)
            case .finished(let model): return Model(model)
            }
        }
        throw .internal(reason: "a pull ended without a model", nextStep: "report it with this text")
    }
}

import Foundation
import Observation
import Sotto
import SottoStarter

/// The models of the app: which are here, which can be fetched, and which one is used.
@MainActor @Observable
public final class ModelListModel {
    /// A model that can be fetched.
    public struct Offer: Identifiable, Equatable, Sendable {
        public var id: String
        public var title: String

        public init(id: String, title: String) {
            self.id = id
            self.title = title
        }
    }

    /// What the sample offers.
    public static let offers = [
        Offer(id: "openai/whisper-tiny.en", title: "Whisper tiny, English"),
        Offer(id: "openai/whisper-base", title: "Whisper base, 99 languages"),
    ]

    public private(set) var models: [ModelStore.Model] = []
    /// Bytes that have arrived of the model that is being fetched, and all there are.
    public private(set) var progress: [String: ModelStore.Progress] = [:]
    public private(set) var problem: String?
    /// Name of the model that is used; nil for the starter model.
    public var chosen: String? {
        didSet { saved?.content.chosen = chosen }
    }
    /// What has become of the models in memory, by their identifiers; the starter model's is ``starter``.
    public private(set) var states: [String: ModelState] = [:]

    /// Stands for the starter model among ``states``.
    public static let starter = "starter"

    private let store: ModelStore
    private let engine: SottoEngine
    private let saved: SavedState?
    private let endpoint: String?
    private var pulls: [String: Task<Void, Never>] = [:]
    /// The model that was used last: it stays in memory for the next captions, until another one is chosen.
    private var used: SpeechModel?

    /// The models of a store. What was chosen when the state was `saved` is so again, where it is still there.
    public init(
        store: ModelStore, engine: SottoEngine = .shared, saved: SavedState? = nil, endpoint: String? = nil
    ) {
        self.store = store
        self.engine = engine
        self.saved = saved
        self.endpoint = endpoint
        refresh()
        if let name = saved?.content.chosen, models.contains(where: { $0.name == name }) { chosen = name }
    }

    /// Keeps ``states`` of a model current until the task is cancelled; nil for the starter model.
    public func watch(_ model: ModelStore.Model?) async {
        guard let source = try? model?.source ?? StarterModel.speech() else { return }
        let id = model?.id ?? Self.starter
        for await state in engine.states(of: source) { states[id] = state }
        states[id] = nil
    }

    public func refresh() {
        do { models = try store.models() } catch { problem = message(of: error) }
    }

    /// Where the model is that is used.
    public func source() throws -> ModelSource {
        guard let chosen else { return try StarterModel.speech() }
        return try store.source(of: chosen)
    }

    /// The model that is used, loaded.
    public func load() async throws -> SpeechRecognizer {
        let source = try source()
        let model: SpeechModel
        if let used, used.source == source { model = used } else { model = SpeechModel(source, engine: engine) }
        used = model
        return try await model.load()
    }

    public func pull(_ offer: Offer) {
        guard pulls[offer.id] == nil else { return }
        problem = nil
        progress[offer.id] = .bytes(0, of: nil)
        pulls[offer.id] = Task { [store, endpoint] in
            do {
                try await store.pullModel(offer.id, endpoint: endpoint) { progress in
                    Task { @MainActor [weak self] in self?.note(progress, of: offer.id) }
                }
            } catch {
                if error as? StoreError != .cancelled { problem = message(of: error) }
            }
            pulls[offer.id] = nil
            progress[offer.id] = nil
            refresh()
        }
    }

    /// Stops fetching; the next pull goes on where this one was.
    public func cancel(_ offer: Offer) {
        pulls[offer.id]?.cancel()
    }

    public func remove(_ model: ModelStore.Model) {
        do { try store.remove(model.id) } catch { problem = message(of: error) }
        if chosen == model.name { chosen = nil }
        refresh()
    }

    /// Waits until nothing is being fetched any more.
    public func finished() async {
        for pull in pulls.values { await pull.value }
    }

    private func note(_ progress: ModelStore.Progress, of id: String) {
        if pulls[id] != nil { self.progress[id] = progress }
    }
}

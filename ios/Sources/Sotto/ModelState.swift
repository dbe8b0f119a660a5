/// What has become of a model in an engine, from the app's side.
public enum ModelState: Sendable, Equatable {
    /// Nobody has loaded it, or loading it was cancelled.
    case notLoaded
    /// It is being loaded; the part that is done, 0 to 1.
    case loading(Double)
    /// It is loaded, and somebody holds it.
    case ready
    /// It was loaded: it was told to unload, taken by ``SottoEngine/trim(_:)``, or nobody holds it any more.
    case unloaded
    /// It could not be loaded.
    case failed(SottoError)
}

extension SottoEngine {
    /// What has become of the model at `source`. What nobody watches, holds or loads is forgotten: it counts as not
    /// loaded. Models in memory go by their names and lengths, those in open files by the place inside them.
    public func state(of source: ModelSource) -> ModelState {
        states.state(of: source.key)
    }

    /// The same as it changes, from now on: the state right now, then each new one. Of several that come while the loop
    /// is busy the last one counts. Ends when the loop is left or its task is cancelled.
    ///
    /// ```swift
    /// for await state in engine.states(of: .file(url)) { draw(state) }
    /// ```
    public func states(of source: ModelSource) -> AsyncStream<ModelState> {
        states.watch(source.key)
    }
}

extension SpeechRecognizer {
    /// What has become of the model: ready, or unloaded.
    public var state: ModelState {
        do {
            _ = try info()
            return .ready
        } catch {
            return .unloaded
        }
    }

    /// The state of the model at this one's source, as ``SottoEngine/states(of:)`` has it. Does not keep the model.
    public var states: AsyncStream<ModelState> {
        board.watch(key)
    }
}

extension ModelSource {
    /// What tells models apart without keeping their bytes.
    var key: String {
        switch self {
        case .file(let url): "file \(url.standardizedFileURL.path)"
        case .data(let data, let name): "data \(data.count) \(name)"
        case .descriptor(let descriptor, let offset, let length, let name):
            "descriptor \(descriptor) \(offset) \(length) \(name)"
        }
    }
}

import Foundation

/// The states of an engine's models, and who watches them. Models are unloaded by calls of the app alone (an engine
/// that needs room takes those that nobody holds), so that a look after each of these calls misses nothing.
final class StateBoard: @unchecked Sendable {
    /// Everything below is read and written under it. Recognizers are let go of outside: their end comes back here.
    private let lock = NSLock()
    private var models: [String: Model] = [:]
    private var next = 0

    private struct Model {
        /// Loads under way, and how far they are.
        var loads: [Int: Double] = [:]
        /// Recognizers that were not seen unloaded.
        var held: [ObjectIdentifier: Weak] = [:]
        /// What counts when nothing is loaded or loading.
        var rest = ModelState.notLoaded
        var watchers: [Int: Watcher] = [:]

        var state: ModelState {
            if !held.isEmpty { return .ready }
            return loads.values.max().map(ModelState.loading) ?? rest
        }
        var isForgettable: Bool { loads.isEmpty && held.isEmpty && watchers.isEmpty }
    }

    private struct Weak {
        weak var recognizer: SpeechRecognizer?
    }

    private struct Watcher {
        let continuation: AsyncStream<ModelState>.Continuation
        var told: ModelState
    }

    func state(of key: String) -> ModelState {
        lock.withLock { models[key]?.state ?? .notLoaded }
    }

    func watch(_ key: String) -> AsyncStream<ModelState> {
        let (stream, continuation) = AsyncStream.makeStream(of: ModelState.self, bufferingPolicy: .bufferingNewest(1))
        let number = number()
        change(key) { model in
            continuation.yield(model.state)
            model.watchers[number] = Watcher(continuation: continuation, told: model.state)
        }
        continuation.onTermination = { [weak self] _ in self?.change(key) { $0.watchers[number] = nil } }
        return stream
    }

    /// A load begins; the number that its other reports carry.
    func begin(_ key: String) -> Int {
        let number = number()
        change(key) { $0.loads[number] = 0 }
        return number
    }

    func progress(_ key: String, load: Int, _ part: Double) {
        change(key) { if $0.loads[load] != nil { $0.loads[load] = part } }
    }

    func loaded(_ key: String, load: Int, _ recognizer: SpeechRecognizer) {
        change(key) {
            $0.loads[load] = nil
            $0.held[ObjectIdentifier(recognizer)] = Weak(recognizer: recognizer)
            $0.rest = .unloaded
        }
        // It may have been taken again before it stood here.
        if recognizer.state == .unloaded { gone(key, ObjectIdentifier(recognizer)) }
    }

    func failed(_ key: String, load: Int, _ error: SottoError) {
        change(key) {
            $0.loads[load] = nil
            if error != .cancelled { $0.rest = .failed(error) }
        }
    }

    /// A recognizer ends.
    func gone(_ key: String, _ recognizer: ObjectIdentifier) {
        change(key) { $0.held[recognizer] = nil }
    }

    /// Looks which models were unloaded, after a call that may have done that.
    func look() {
        let held = lock.withLock { models.mapValues { $0.held.mapValues(\.recognizer) } }
        for (key, recognizers) in held {
            for (number, recognizer) in recognizers where recognizer?.state == .unloaded { gone(key, number) }
        }
    }

    private func number() -> Int {
        lock.withLock {
            next += 1
            return next
        }
    }

    private func change(_ key: String, _ body: (inout Model) -> Void) {
        lock.withLock {
            var model = models[key] ?? Model()
            body(&model)
            let state = model.state
            for (number, watcher) in model.watchers where watcher.told != state {
                watcher.continuation.yield(state)
                model.watchers[number]?.told = state
            }
            models[key] = model.isForgettable ? nil : model
        }
    }
}

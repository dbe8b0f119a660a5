internal import SottoBindings

/// Why something did not work, and what to do about it. Never says what a user said.
public enum SottoError: Error, Sendable, Equatable {
    /// The task was cancelled, or whoever waited let go. Nothing is wrong.
    case cancelled
    /// There is no model at that place, or it is damaged, or of another kind.
    case invalidModel(reason: String, nextStep: String)
    /// The memory limit is too small for this now. Nothing was allocated.
    case outOfBudget(reason: String, nextStep: String, needed: UInt64, available: UInt64)
    /// This device cannot run the model.
    case unsupportedDevice(reason: String, nextStep: String)
    /// The recording or the samples cannot be read.
    case invalidAudio(reason: String, nextStep: String)
    /// An option contradicts another one or the model.
    case invalidOption(option: String, reason: String, nextStep: String)
    /// The model was unloaded.
    case unloaded(reason: String, nextStep: String)
    /// Samples come in faster than this device decodes them. Nothing was taken.
    case behind(reason: String, nextStep: String)
    /// The session or job has ended already.
    case ended(reason: String, nextStep: String)
    /// The system refused something, or a bug in Sotto.
    case `internal`(reason: String, nextStep: String)

    /// What to do about it.
    public var nextStep: String {
        switch self {
        case .cancelled: "start it again when it is wanted"
        case .invalidModel(_, let step), .unsupportedDevice(_, let step), .invalidAudio(_, let step),
            .unloaded(_, let step), .behind(_, let step), .ended(_, let step), .internal(_, let step):
            step
        case .outOfBudget(_, let step, _, _): step
        case .invalidOption(_, _, let step): step
        }
    }

    /// An error of the bindings, or of anything that ran for them.
    init(_ error: any Error) {
        switch error {
        case let error as SottoError: self = error
        case let error as SpeechFailure: self.init(error)
        case is CancellationError: self = .cancelled
        default:
            self = .internal(
                reason: "\(type(of: error))", nextStep: "try again; if it stays, report it with this text")
        }
    }

    private init(_ failure: SpeechFailure) {
        self =
            switch failure {
            case .Cancelled: .cancelled
            case .InvalidModel(let reason, let step): .invalidModel(reason: reason, nextStep: step)
            case .OutOfBudget(let reason, let step, let needed, let available):
                .outOfBudget(reason: reason, nextStep: step, needed: needed, available: available)
            case .UnsupportedDevice(let reason, let step): .unsupportedDevice(reason: reason, nextStep: step)
            case .InvalidAudio(let reason, let step): .invalidAudio(reason: reason, nextStep: step)
            case .InvalidOption(let option, let reason, let step):
                .invalidOption(option: option, reason: reason, nextStep: step)
            case .Unloaded(let reason, let step): .unloaded(reason: reason, nextStep: step)
            case .Behind(let reason, let step): .behind(reason: reason, nextStep: step)
            case .Ended(let reason, let step): .ended(reason: reason, nextStep: step)
            case .Internal(let reason, let step): .internal(reason: reason, nextStep: step)
            }
    }
}

extension SottoError: CustomStringConvertible {
    /// What is wrong.
    public var description: String {
        switch self {
        case .cancelled: "cancelled"
        case .invalidModel(let reason, _), .unsupportedDevice(let reason, _), .invalidAudio(let reason, _),
            .unloaded(let reason, _), .behind(let reason, _), .ended(let reason, _), .internal(let reason, _):
            reason
        case .outOfBudget(let reason, _, _, _): reason
        case .invalidOption(let option, let reason, _): "option `\(option)`: \(reason)"
        }
    }
}

extension SottoError: BindingsError {}

/// An error of ours that says what the bindings threw.
protocol BindingsError: Error {
    init(_ error: any Error)
}

/// Waits for an event of a job. A task that is cancelled cancels the job: the bindings alone would go on waiting.
func pull<Event: Sendable>(
    cancel: @escaping @Sendable () -> Void, _ next: @Sendable () async throws -> Event
) async throws(SottoError) -> Event {
    try await pull(as: SottoError.self, cancel: cancel, next)
}

/// The same for other errors than those of speech.
func pull<Failure: BindingsError, Event: Sendable>(
    as failure: Failure.Type, cancel: @escaping @Sendable () -> Void, _ next: @Sendable () async throws -> Event
) async throws(Failure) -> Event {
    do {
        return try await withTaskCancellationHandler(operation: next, onCancel: cancel)
    } catch {
        throw Failure(error)
    }
}

/// Calls the bindings, whose errors become ours.
func call<Value>(_ body: () throws -> Value) throws(SottoError) -> Value {
    try call(as: SottoError.self, body)
}

/// The same for other errors than those of speech.
func call<Failure: BindingsError, Value>(
    as failure: Failure.Type, _ body: () throws -> Value
) throws(Failure) -> Value {
    do {
        return try body()
    } catch {
        throw Failure(error)
    }
}

internal import SottoBindings

/// Why something about the model store did not work, and what to do about it. An access token never stands in it.
public enum StoreError: Error, Sendable, Equatable {
    /// The task was cancelled, or whoever waited let go. Nothing is wrong.
    case cancelled
    /// That cannot be the name of a model or a version.
    case invalidName(reason: String, nextStep: String)
    /// There is no such model, version or file, here or at the publisher's.
    case notFound(reason: String, nextStep: String)
    /// The model is damaged, or came damaged.
    case damaged(reason: String, nextStep: String)
    /// The publisher has it, but not in a form that Sotto reads safely.
    case unsupported(reason: String, nextStep: String)
    /// The server could not be reached, or does not want to serve now.
    case network(reason: String, nextStep: String)
    /// The publisher wants an access token, another one, or its terms accepted.
    case unauthorized(reason: String, nextStep: String)
    /// The disk has too little room.
    case noSpace(reason: String, nextStep: String)
    /// Another process, or another job of this one, changes the model.
    case busy(reason: String, nextStep: String)
    /// The system refused something, or a bug in Sotto.
    case `internal`(reason: String, nextStep: String)

    private var parts: (reason: String, nextStep: String) {
        switch self {
        case .cancelled: ("cancelled", "start it again when it is wanted")
        case .invalidName(let reason, let step), .notFound(let reason, let step), .damaged(let reason, let step),
            .unsupported(let reason, let step), .network(let reason, let step), .unauthorized(let reason, let step),
            .noSpace(let reason, let step), .busy(let reason, let step), .internal(let reason, let step):
            (reason, step)
        }
    }

    /// What to do about it.
    public var nextStep: String { parts.nextStep }
}

extension StoreError: CustomStringConvertible {
    /// What is wrong.
    public var description: String { parts.reason }
}

extension StoreError: BindingsError {
    init(_ error: any Error) {
        switch error {
        case let error as StoreError: self = error
        case let error as StoreFailure: self.init(error)
        case is CancellationError: self = .cancelled
        default:
            self = .internal(
                reason: "\(type(of: error))", nextStep: "try again; if it stays, report it with this text")
        }
    }

    private init(_ failure: StoreFailure) {
        self =
            switch failure {
            case .Cancelled: .cancelled
            case .InvalidName(let reason, let step): .invalidName(reason: reason, nextStep: step)
            case .NotFound(let reason, let step): .notFound(reason: reason, nextStep: step)
            case .Damaged(let reason, let step): .damaged(reason: reason, nextStep: step)
            case .Unsupported(let reason, let step): .unsupported(reason: reason, nextStep: step)
            case .Network(let reason, let step): .network(reason: reason, nextStep: step)
            case .Unauthorized(let reason, let step): .unauthorized(reason: reason, nextStep: step)
            case .NoSpace(let reason, let step): .noSpace(reason: reason, nextStep: step)
            case .Busy(let reason, let step): .busy(reason: reason, nextStep: step)
            case .Internal(let reason, let step): .internal(reason: reason, nextStep: step)
            }
    }
}

import Foundation

/// What the app still knows after the system has ended its process: which model was chosen, and what was final in the
/// captions. Written as soon as it changes, as nobody is told before a process ends.
@MainActor
public final class SavedState {
    /// What is saved.
    public struct Content: Codable, Equatable, Sendable {
        /// Name of the model that is used; nil for the starter model.
        public var chosen: String?
        /// Text of the captions that will not change.
        public var finalText = ""

        public init() {}
    }

    public var content: Content {
        didSet { if content != oldValue { write() } }
    }

    private let file: URL

    /// The state in `file`; empty where there is none, or none that can be read.
    public init(file: URL) {
        self.file = file
        content = (try? JSONDecoder().decode(Content.self, from: Data(contentsOf: file))) ?? Content()
    }

    private func write() {
        #if os(iOS)
            // What somebody has said: nobody reads it while the device is locked.
            let options: Data.WritingOptions = [.atomic, .completeFileProtectionUnlessOpen]
        #else
            let options: Data.WritingOptions = .atomic
        #endif
        // Without it the app begins anew, which is no reason to stop now.
        try? FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try? JSONEncoder().encode(content).write(to: file, options: options)
    }
}

import Foundation
import Observation
import Sotto

/// A recording becomes text, with progress, and subtitles to share.
@MainActor @Observable
public final class FileModel {
    public enum State: Equatable {
        case idle
        case working(Double?)
        case done
        case failed(String)
    }

    public private(set) var state = State.idle
    /// Stretches of speech so far.
    public private(set) var segments: [Segment] = []

    private let load: @Sendable () async throws -> SpeechRecognizer
    private var task: Task<Void, Never>?

    public init(load: @escaping @Sendable () async throws -> SpeechRecognizer) {
        self.load = load
    }

    /// Transcribes a file; another one that is under way stops.
    public func transcribe(_ url: URL) {
        cancel()
        segments = []
        state = .working(nil)
        task = Task { await run(url) }
    }

    public func cancel() {
        task?.cancel()
        task = nil
        if case .working = state { state = .idle }
    }

    /// Waits until the transcription has ended.
    public func finished() async {
        await task?.value
    }

    /// Writes the subtitles into a file that can be shared.
    public func subtitles(in folder: URL = FileManager.default.temporaryDirectory) throws -> URL {
        let url = folder.appendingPathComponent("subtitles.srt")
        try Subtitles.file(of: segments, format: .srt).write(to: url, atomically: true, encoding: .utf8)
        return url
    }

    private func run(_ url: URL) async {
        do {
            var options = SpeechOptions()
            options.timestamps = .word
            for try await event in try await load().transcription(of: .file(url), options: options) {
                switch event {
                case .progress(let part): state = .working(part)
                case .segment(let segment): segments.append(segment)
                case .finished(let transcript): segments = transcript.segments
                }
            }
            state = .done
        } catch {
            if Task.isCancelled || error as? SottoError == .cancelled { return }
            state = .failed(message(of: error))
        }
    }
}

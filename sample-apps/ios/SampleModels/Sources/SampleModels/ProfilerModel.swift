import Foundation
import Observation
import Sotto

/// Profiles a model on this device.
@MainActor @Observable
public final class ProfilerModel {
    public enum State: Equatable {
        case idle
        case running(Double)
        case done
        case failed(String)
    }

    public private(set) var state = State.idle
    public private(set) var report: SpeechProfile.Report?

    private let begin: @Sendable () throws -> SpeechProfile
    private let reading: @MainActor () -> DeviceReading
    private var profile: SpeechProfile?
    private var task: Task<Void, Never>?

    /// `begin` starts the profile, `reading` tells what the system says of the device now.
    public init(
        begin: @escaping @Sendable () throws -> SpeechProfile,
        reading: @escaping @MainActor () -> DeviceReading
    ) {
        self.begin = begin
        self.reading = reading
    }

    public func start() {
        if case .running = state { return }
        state = .running(0)
        report = nil
        task = Task { await run() }
    }

    /// Ends early: the report is made of what was measured until now.
    public func endEarly() {
        profile?.endEarly()
    }

    public func cancel() {
        task?.cancel()
        task = nil
        state = .idle
    }

    public func finished() async {
        await task?.value
    }

    /// Writes report and page into files that can be shared.
    public func export(to folder: URL = FileManager.default.temporaryDirectory) throws -> [URL] {
        guard let report else { return [] }
        let json = folder.appendingPathComponent("profile.json")
        let page = folder.appendingPathComponent("profile.html")
        try report.json.write(to: json, atomically: true, encoding: .utf8)
        try report.page().write(to: page, atomically: true, encoding: .utf8)
        return [json, page]
    }

    private func run() async {
        do {
            let profile = try begin()
            self.profile = profile
            let readings = Task { [reading] in
                while !Task.isCancelled {
                    profile.push(reading())
                    try? await Task.sleep(nanoseconds: 1_000_000_000)
                }
            }
            defer { readings.cancel() }
            report = try await profile.report { part in
                Task { @MainActor [weak self] in self?.note(part) }
            }
            state = .done
        } catch {
            if Task.isCancelled || error as? SottoError == .cancelled { return }
            state = .failed(message(of: error))
        }
    }

    private func note(_ part: Double) {
        if case .running = state { state = .running(part) }
    }
}

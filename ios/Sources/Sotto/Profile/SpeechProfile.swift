import Foundation
internal import SottoBindings

/// Profiles a model on this device: speed, memory, energy and word errors in one report.
public final class SpeechProfile: Sendable {
    /// A recording to profile with.
    public struct Clip: Sendable {
        /// Name for the report.
        public var name: String
        /// The recording; decoded before anything is measured.
        public var audio: AudioSource
        /// What is said in it, where that is known: the report then has word errors.
        public var text: String?

        /// A recording under a name.
        public init(name: String, audio: AudioSource, text: String? = nil) {
            self.name = name
            self.audio = audio
            self.text = text
        }
    }

    /// How a model is profiled.
    public struct Options: Sendable, Equatable {
        /// Name of the model for the report.
        public var model: String
        /// Name of the device.
        public var device: String
        /// Operating system and its version.
        public var system: String
        /// Whether it is a simulator.
        public var emulated: Bool
        /// Loads after the first.
        public var laterLoads: UInt32 = 3
        /// Warm runs of each clip; three are the least for a valid profile.
        public var warmRuns: UInt32 = 5
        /// Seconds of the sustained phase; 300 are the least for a valid profile.
        public var sustainedSeconds = 300.0

        /// What is not named is the default, or what the system says of itself.
        public init(model: String, device: String = "unknown device", emulated: Bool? = nil) {
            self.model = model
            self.device = device
            system = ProcessInfo.processInfo.operatingSystemVersionString
            #if targetEnvironment(simulator)
                self.emulated = emulated ?? true
            #else
                self.emulated = emulated ?? false
            #endif
        }
    }

    /// Whether a profile can be compared with others.
    public enum Validity: Sendable, Equatable {
        /// Yes.
        case valid
        /// With care.
        case semivalid
        /// No.
        case invalid
    }

    /// A finished profile.
    public struct Report: Sendable, Equatable {
        /// The report as JSON; `docs/PROFILING.md` explains it.
        public var json: String
        /// Whether it can be compared with others.
        public var validity: Validity
        /// Why not, in words.
        public var reasons: [String]

        /// The report as one page of HTML that needs nothing beside it.
        public func page() throws(SottoError) -> String {
            try call { try profilePage(report: json) }
        }

        /// Two reports side by side, with their differences, as one page of HTML.
        public func page(comparedWith other: Report) throws(SottoError) -> String {
            try call { try profileComparison(first: json, second: other.json) }
        }
    }

    private let raw: SottoBindings.SpeechProfile

    /// Begins at once: several minutes, in which nothing else should run. Hand in readings of the device meanwhile.
    public init(
        of source: ModelSource, clips: [Clip], options: Options, engine: SottoEngine = .shared
    ) throws(SottoError) {
        raw = try call {
            try engine.raw.profileSpeech(
                location: source.location,
                clips: clips.map { ProfileClip(name: $0.name, audio: try $0.audio.input, text: $0.text) },
                settings: ProfileSettings(
                    model: options.model, device: options.device, system: options.system, emulated: options.emulated,
                    laterLoads: options.laterLoads, warmRuns: options.warmRuns,
                    sustainedSeconds: options.sustainedSeconds))
        }
    }

    deinit {
        raw.cancel()
    }

    /// Hands in what is known of the device now. Once a second is enough.
    public func push(_ reading: DeviceReading) {
        raw.pushReading(reading: reading.raw)
    }

    /// Ends the sustained phase: the report is made of what was measured until then.
    public func endEarly() {
        raw.endEarly()
    }

    /// Stops without a report. Returns at once.
    public func cancel() {
        raw.cancel()
    }

    /// The report. `progress` is told the part that is done, 0 to 1. Cancelling the task stops the profile.
    public func report(progress: (@Sendable (Double) -> Void)? = nil) async throws(SottoError) -> Report {
        let raw = raw
        while let event = try await pull(cancel: { raw.cancel() }, { try await raw.nextEvent() }) {
            switch event {
            case .progress(let done, let total):
                if let progress, let total, total > 0 { progress(min(Double(done) / Double(total), 1)) }
            case .finished(let json, let validity, let reasons):
                let validity: Validity =
                    switch validity {
                    case .valid: .valid
                    case .semivalid: .semivalid
                    case .invalid: .invalid
                    }
                return Report(json: json, validity: validity, reasons: reasons)
            }
        }
        throw .ended(reason: "the report was given already", nextStep: "start another profile")
    }
}

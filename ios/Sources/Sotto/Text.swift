internal import SottoBindings

/// Subtitles of segments.
public enum Subtitles {
    /// A format of subtitles.
    public enum Format: Sendable, Equatable {
        /// SubRip.
        case srt
        /// WebVTT.
        case vtt
    }

    /// A text and when it is shown, in seconds.
    public struct Cue: Sendable, Equatable {
        /// When it appears.
        public var start: Double
        /// When it is taken away.
        public var end: Double
        /// One line or two.
        public var lines: [String]
    }

    /// How subtitles are cut.
    public struct Options: Sendable, Equatable {
        /// Most characters on a line; wide characters count twice.
        public var maxLineLength: UInt32 = 42
        /// Most seconds that a cue is shown.
        public var maxCueSeconds = 7.0
        /// Fewest seconds that a cue is shown.
        public var minCueSeconds = 0.8
        /// One cue for each word, where words have times.
        public var perWord = false

        /// The defaults: those of Netflix for English.
        public init() {}

        var raw: SubtitleSettings {
            SubtitleSettings(
                maxLineLength: maxLineLength, maxCueSeconds: maxCueSeconds, minCueSeconds: minCueSeconds,
                perWord: perWord)
        }
    }

    /// The file of subtitles that segments make.
    public static func file(
        of segments: [Segment], format: Format, options: Options = .init()
    ) throws(SottoError) -> String {
        try call {
            try SottoBindings.subtitles(
                segments: segments.map(\.raw), format: format == .srt ? .srt : .vtt, settings: options.raw)
        }
    }

    /// The cues that segments make.
    public static func cues(of segments: [Segment], options: Options = .init()) throws(SottoError) -> [Cue] {
        let cues = try call {
            try SottoBindings.subtitleCues(segments: segments.map(\.raw), settings: options.raw)
        }
        return cues.map { Cue(start: $0.start, end: $0.end, lines: $0.lines) }
    }
}

/// Comparing texts.
public enum TextMetrics {
    /// Differences between a reference and what was recognized.
    public struct Errors: Sendable, Equatable {
        /// Items that both have.
        public var hits: UInt64
        /// Items that are another one.
        public var substitutions: UInt64
        /// Items that are missing.
        public var deletions: UInt64
        /// Items that are too many.
        public var insertions: UInt64
        /// Errors per item of the reference.
        public var rate: Double

        init(_ raw: TextErrors) {
            hits = raw.hits
            substitutions = raw.substitutions
            deletions = raw.deletions
            insertions = raw.insertions
            rate = raw.rate
        }
    }

    /// A text as word error rates compare it: Whisper's English normalization.
    public static func normalizeEnglish(_ text: String) -> String { SottoBindings.normalizeEnglish(text: text) }

    /// Errors of words; normalize both texts first.
    public static func wordErrors(reference: String, recognized: String) -> Errors {
        Errors(SottoBindings.wordErrors(reference: reference, recognized: recognized))
    }

    /// Errors of characters, for languages that are written without spaces.
    public static func characterErrors(reference: String, recognized: String) -> Errors {
        Errors(SottoBindings.characterErrors(reference: reference, recognized: recognized))
    }

    /// The sentences of a text.
    public static func sentences(of text: String) -> [String] { SottoBindings.sentences(text: text) }
}

internal import SottoBindings

/// Options of a transcription; the default suits most recordings.
public struct SpeechOptions: Sendable, Equatable {
    /// Language of the speech.
    public enum Language: Sendable, Equatable, ExpressibleByStringLiteral {
        /// The model decides, by the first window in which someone clearly speaks one; until then by the clearest so
        /// far.
        case automatic
        /// Decided anew for every stretch of speech: speakers change language.
        case each
        /// A code (`de`), a tag (`de-AT`) or an English name (`german`); empty for automatic.
        case named(String)

        /// The language that is named.
        public init(stringLiteral value: String) {
            self = .named(value)
        }
    }

    /// What is written down.
    public enum Task: Sendable, Equatable {
        /// What was said, in the language it was said in.
        case transcribe
        /// What was said, in English. Needs a multilingual model.
        case translate
    }

    /// How finely times are given.
    public enum Timestamps: Sendable, Equatable {
        /// No times are needed: segments may be as long as a window.
        case none
        /// Times of segments: a sentence or so each.
        case segment
        /// Times of words as well.
        case word
    }

    /// For which text the prompt is.
    public enum PromptReach: Sendable, Equatable {
        /// Every window, every stretch of speech, every utterance of a stream.
        case all
        /// The first one with text.
        case first
    }

    /// How much of a window the encoder computes.
    public enum Context: Sendable, Equatable {
        /// The true length, but the window where the references' text is asked for: in f32, or as it is written.
        case automatic
        /// All of it, filled up with silence, as the models were trained.
        case window
        /// The audio and some silence behind it, the rest where the text is doubtful: faster for short recordings.
        case trueLength

        var raw: EncodedContext {
            switch self {
            case .automatic: .auto
            case .window: .window
            case .trueLength: .trueLength
            }
        }
    }

    /// Language of the speech.
    public var language: Language = .automatic
    /// Transcribe, or translate to English.
    public var task: Task = .transcribe
    /// Which times are wanted.
    public var timestamps: Timestamps = .segment
    /// How tokens are chosen.
    public var search: SearchOptions = .init()
    /// Text that came before, in the style that is wanted (names, punctuation).
    public var prompt: String?
    /// For which text the prompt is.
    public var promptReach: PromptReach = .all
    /// Text that the first window's transcription must begin with. Not for live sessions.
    public var prefix: String?
    /// Feeds each window the text of the ones before it: steadier wording, but errors can carry over.
    public var conditionsOnPrevious = false
    /// Words that are likelier than the model thinks.
    public var hotwords: [String] = []
    /// What is added to log-probabilities of hotwords; nil for the default.
    public var hotwordStrength: Float?
    /// Skips what is not speech; nil is off for recordings and the built-in detector for live sessions.
    public var voiceActivity: VoiceActivityOptions?
    /// Most tokens per window.
    public var maxTokens: UInt32?
    /// Tokens that are never written, beside the model's own list.
    public var suppressedTokens: [UInt32] = []
    /// Allows the symbols that the model's list forbids (such as brackets and notes).
    public var allowsNonSpeech = false
    /// The loudest point is that of the whole recording, as in the references. Not for live sessions.
    public var normalizesRecording = false
    /// The model writes timestamps in every window, not only in long recordings. Not for live sessions.
    public var writesTimestampTokens = false
    /// How much of a window is computed. Not for live sessions, which have `volatileContext`.
    public var context: Context = .automatic
    /// Takes each window's text as the model writes it: speech that it leaves out is not decoded again.
    public var asWritten = false

    /// The defaults.
    public init() {}

    var raw: SpeechSettings {
        SpeechSettings(
            language: {
                switch language {
                case .automatic: "auto"
                case .each: "each"
                case .named(let name): name
                }
            }(),
            task: task == .translate ? .translate : .transcribe,
            timestamps: {
                switch timestamps {
                case .none: .unneeded
                case .segment: .segment
                case .word: .word
                }
            }(),
            search: search.raw,
            prompt: prompt,
            promptReach: promptReach == .first ? .first : .all,
            prefix: prefix,
            conditionOnPrevious: conditionsOnPrevious,
            hotwords: hotwords,
            hotwordStrength: hotwordStrength,
            voiceActivity: voiceActivity?.raw,
            maxTokens: maxTokens,
            suppressTokens: suppressedTokens,
            allowNonSpeech: allowsNonSpeech,
            normalizeRecording: normalizesRecording,
            timestampTokens: writesTimestampTokens,
            context: context.raw,
            asWritten: asWritten)
    }
}

/// How tokens are chosen.
public struct SearchOptions: Sendable, Equatable {
    /// Hypotheses followed at temperature 0: 1 is greedy, more is beam search; 32 at most.
    public var beam: UInt32 = 1
    /// Beam search ends once `beam × patience` hypotheses are complete.
    public var patience: Float = 1
    /// Exponent of the length penalty; nil divides by the length.
    public var lengthPenalty: Float?
    /// Temperatures tried in turn while a result fails the thresholds; empty for 0, 0.2 … 1.
    public var temperatures: [Float] = []
    /// Samples drawn at a temperature above 0, of which the likeliest is kept.
    public var bestOf: UInt32 = 5
    /// Seed of the samples: the same seed gives the same text.
    public var seed: UInt64 = 0
    /// Text that compresses better than this repeats itself and is tried again; above 100: never.
    public var compressionRatio: Float = 2.4
    /// A mean log-probability below this is a guess and is tried again; below -100: never.
    public var logProbability: Float = -1
    /// A window whose no-speech probability is above this, and whose text is a guess, is silent; above 1: never.
    public var noSpeech: Float = 0.6

    /// The defaults: greedy, with the references' second tries.
    public init(beam: UInt32 = 1) {
        self.beam = beam
    }

    var raw: SearchSettings {
        SearchSettings(
            beam: beam, patience: patience, lengthPenalty: lengthPenalty, temperatures: temperatures,
            bestOf: bestOf, seed: seed, compressionRatio: compressionRatio, logprob: logProbability,
            noSpeech: noSpeech)
    }
}

/// A voice activity detector and its rules. What is nil is what the detector brings.
public struct VoiceActivityOptions: Sendable, Equatable {
    /// Path of a detector's weights; nil for the one that is built in.
    public var model: String?
    /// Speech begins at this probability.
    public var threshold: Float?
    /// Speech may end below this probability.
    public var endThreshold: Float?
    /// Shorter segments are dropped, in milliseconds.
    public var minSpeechMilliseconds: UInt32?
    /// Segments with less voice than this are dropped, in milliseconds.
    public var minVoicedMilliseconds: UInt32?
    /// Longer segments are cut, in seconds.
    public var maxSpeechSeconds: Float?
    /// Silence that ends a segment, in milliseconds.
    public var minSilenceMilliseconds: UInt32?
    /// Audio kept on both sides of a segment, in milliseconds.
    public var paddingMilliseconds: UInt32?
    /// The shortest pause at which a segment that is too long is cut, in milliseconds.
    public var minPauseAtMaxSpeechMilliseconds: UInt32?

    /// The detector that is built in, with its rules.
    public init() {}

    var raw: VoiceActivity {
        VoiceActivity(
            model: model, threshold: threshold, endThreshold: endThreshold, minSpeechMs: minSpeechMilliseconds,
            minVoicedMs: minVoicedMilliseconds, maxSpeechS: maxSpeechSeconds, minSilenceMs: minSilenceMilliseconds,
            speechPadMs: paddingMilliseconds, minPauseAtMaxSpeechMs: minPauseAtMaxSpeechMilliseconds)
    }
}

/// Options of a live session.
public struct LiveOptions: Sendable, Equatable {
    /// How the speech is decoded; nil for the defaults.
    public var speech: SpeechOptions?
    /// Seconds of new voice after which the text is decoded again; nil for the default.
    public var step: Double?
    /// Seconds of speech without a pause after which audio behind a final sentence is dropped; nil for the default.
    public var trim: Double?
    /// How much of the window is encoded at every step; nil for the default.
    public var volatileContext: SpeechOptions.Context?
    /// Whether voice activity detection keeps silence from the model; on by default.
    public var detectsVoiceActivity = true
    /// Works less while the device is hot or short of power: steps grow longer and threads fewer. What the device is
    /// like is told by ``SottoEngine/push(_:)``, or by ``SottoEngine/followDevice()``.
    public var adaptive = false

    /// The defaults.
    public init() {}

    var raw: LiveSettings {
        LiveSettings(
            speech: speech?.raw, step: step, trim: trim, volatileContext: volatileContext?.raw,
            withoutVoiceActivity: !detectsVoiceActivity, adaptive: adaptive)
    }
}

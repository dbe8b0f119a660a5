internal import SottoBindings

/// The text of a recording and where it was said.
public struct Transcript: Sendable, Equatable {
    /// The whole text.
    public var text: String
    /// Language of the speech as a code; where segments differ, that of most of the time.
    public var language: String
    /// Length of the audio in seconds.
    public var duration: Double
    /// Stretches of speech in order.
    public var segments: [Segment]
    /// Where the time went.
    public var timing: Timing
    /// What was wrong with the recording, in spite of which it was transcribed.
    public var warnings: [String]

    init(_ raw: SottoBindings.Transcript) {
        text = raw.text
        language = raw.language
        duration = raw.duration
        segments = raw.segments.map(Segment.init)
        timing = Timing(raw.timing)
        warnings = raw.warnings
    }
}

/// A stretch of speech, a sentence or so.
public struct Segment: Sendable, Equatable {
    /// Start in seconds from the beginning of the audio.
    public var start: Double
    /// End in seconds from the beginning of the audio.
    public var end: Double
    /// The text, with the leading space that the model wrote.
    public var text: String
    /// Language of the speech as a code.
    public var language: String
    /// Tokens of the text and its timestamps.
    public var tokens: [UInt32]
    /// Mean log-probability of the tokens of its window.
    public var averageLogProbability: Float
    /// Length of the window's text over its compressed length: above 2.4 it repeats itself.
    public var compressionRatio: Float
    /// Probability that the window holds no speech.
    public var noSpeechProbability: Float
    /// Sampling temperature that the window ended with.
    public var temperature: Float
    /// Words with their times; empty unless asked for.
    public var words: [Word]

    init(_ raw: SottoBindings.Segment) {
        start = raw.start
        end = raw.end
        text = raw.text
        language = raw.language
        tokens = raw.tokens
        averageLogProbability = raw.avgLogprob
        compressionRatio = raw.compressionRatio
        noSpeechProbability = raw.noSpeechProb
        temperature = raw.temperature
        words = raw.words.map(Word.init)
    }

    var raw: SottoBindings.Segment {
        SottoBindings.Segment(
            start: start, end: end, text: text, language: language, tokens: tokens,
            avgLogprob: averageLogProbability, compressionRatio: compressionRatio,
            noSpeechProb: noSpeechProbability, temperature: temperature, words: words.map(\.raw))
    }
}

/// A word and when it was said.
public struct Word: Sendable, Equatable {
    /// Start in seconds from the beginning of the audio.
    public var start: Double
    /// End in seconds from the beginning of the audio.
    public var end: Double
    /// The word with its punctuation, with the leading space that the model wrote.
    public var text: String
    /// Mean probability of its tokens.
    public var probability: Float

    init(_ raw: SottoBindings.Word) {
        start = raw.start
        end = raw.end
        text = raw.text
        probability = raw.probability
    }

    var raw: SottoBindings.Word {
        SottoBindings.Word(start: start, end: end, text: text, probability: probability)
    }
}

/// Where the time of one transcription went, in milliseconds.
public struct Timing: Sendable, Equatable {
    /// Encoder.
    public var encode: Double
    /// Decoder, all attempts.
    public var decode: Double
    /// From the first sample to the last word.
    public var total: Double
    /// Windows that were encoded.
    public var windows: UInt64
    /// Tokens that were sampled, all attempts.
    public var tokens: UInt64

    init(_ raw: SottoBindings.Timing) {
        encode = raw.encodeMs
        decode = raw.decodeMs
        total = raw.totalMs
        windows = raw.windows
        tokens = raw.tokens
    }
}

/// A stretch of live text and when it was said.
public struct LiveText: Sendable, Equatable {
    /// The text with the leading space that the model wrote.
    public var text: String
    /// Start in seconds from the beginning of the stream.
    public var start: Double
    /// End in seconds from the beginning of the stream.
    public var end: Double
    /// Its words.
    public var words: [Word]

    init(_ raw: SottoBindings.LiveText) {
        text = raw.text
        start = raw.start
        end = raw.end
        words = raw.words.map(Word.init)
    }
}

package dev.sotto

/** Language of the speech. */
public sealed class Language {
    /**
     * The model decides, by the first window in which someone clearly speaks one; until then by the clearest so far.
     * English-only models always answer English.
     */
    public object Auto : Language() {
        /** Its name. */
        override fun toString(): String = "Auto"
    }

    /**
     * Decided anew for every stretch of speech between pauses, for speakers who change language. In recordings of one
     * language [Auto] makes fewer errors: it hears more at once.
     */
    public object Each : Language() {
        /** Its name. */
        override fun toString(): String = "Each"
    }

    /**
     * This one.
     *
     * @property name a code (`de`), a tag (`de-AT`) or an English name (`german`)
     */
    public data class Of(public val name: String) : Language()

    /** Names languages. */
    public companion object {
        /** The language with a code (`de`), a tag (`de-AT`) or an English name (`german`). */
        @JvmStatic
        public fun of(name: String): Language = Of(name)
    }
}

/** What is written down. */
public enum class SpeechTask {
    /** What was said, in the language it was said in. */
    Transcribe,

    /** What was said, in English. Needs a multilingual model. */
    Translate,
}

/** How finely times are given. */
public enum class TimestampDetail {
    /** No times are needed: segments may be as long as a window of 30 seconds. */
    Unneeded,

    /** Times of segments: a sentence or so each. */
    Segment,

    /** Times of words as well; one more pass of the decoder for each window. */
    Word,
}

/** For which text a prompt is. */
public enum class PromptReach {
    /** Every window, every stretch of speech, every utterance of a stream. */
    All,

    /** The first window, stretch or utterance with text. */
    First,
}

/** How much of a window of 30 seconds is computed. */
public enum class EncodedContext {
    /** [TrueLength], but [Window] where the references' text is asked for: in f32, or as it is written. */
    Auto,

    /** All of it, filled up with silence, as the models were trained. */
    Window,

    /** The audio and some silence behind it, the rest where the text is doubtful: faster for short recordings. */
    TrueLength,
}

/**
 * How tokens are chosen. The defaults suit most recordings.
 *
 * @property beam hypotheses that are followed: 1 is greedy, more is beam search, slower and a little better; 32 at most
 * @property patience beam search ends once `beam × patience` hypotheses are complete
 * @property lengthPenalty exponent of the length penalty, 0 to 1; `null` divides by the length
 * @property temperatures tried in turn while a result fails the thresholds below, each 0 to 2
 * @property bestOf samples drawn at a temperature above 0, of which the likeliest is kept; 32 at most
 * @property seed the same seed gives the same text
 * @property compressionRatio text that compresses better than this repeats itself and is tried again; `null`: never
 * @property logprob a mean log-probability below this is a guess and is tried again; `null`: never
 * @property noSpeech a window whose no-speech probability is above this, and whose text is a guess, is silent; `null`:
 *   never
 */
public data class SearchOptions @JvmOverloads constructor(
    public val beam: Int = 1,
    public val patience: Float = 1f,
    public val lengthPenalty: Float? = null,
    public val temperatures: List<Float> = listOf(0f, 0.2f, 0.4f, 0.6f, 0.8f, 1f),
    public val bestOf: Int = 5,
    public val seed: Long = 0,
    public val compressionRatio: Float? = 2.4f,
    public val logprob: Float? = -1f,
    public val noSpeech: Float? = 0.6f,
)

/**
 * Voice activity detection: only stretches in which someone speaks are decoded. What is `null` is what the detector
 * brings.
 *
 * @property model path of a detector's weights (Silero VAD); `null` for the one that is built in
 * @property threshold speech begins at this probability
 * @property endThreshold speech may end below this probability
 * @property minSpeechMs shorter segments are dropped
 * @property minVoicedMs segments with less voice than this are dropped
 * @property maxSpeechSeconds longer segments are cut
 * @property minSilenceMs silence that ends a segment
 * @property speechPadMs audio kept on both sides of a segment
 * @property minPauseAtMaxSpeechMs the shortest pause at which a segment that is too long is cut
 */
public data class VoiceActivity @JvmOverloads constructor(
    public val model: String? = null,
    public val threshold: Float? = null,
    public val endThreshold: Float? = null,
    public val minSpeechMs: Int? = null,
    public val minVoicedMs: Int? = null,
    public val maxSpeechSeconds: Float? = null,
    public val minSilenceMs: Int? = null,
    public val speechPadMs: Int? = null,
    public val minPauseAtMaxSpeechMs: Int? = null,
)

/**
 * Options of a transcription. Immutable; the defaults suit most recordings. Java code uses [builder].
 *
 * @property language language of the speech
 * @property task transcribe, or translate to English
 * @property timestamps which times are wanted
 * @property search how tokens are chosen
 * @property prompt text that came before, in the style that is wanted (names, punctuation)
 * @property promptReach for which text the prompt is
 * @property prefix text that the transcription must begin with; not for live sessions
 * @property conditionOnPrevious feeds each window the text of the ones before: steadier wording, but errors carry over
 * @property hotwords words that are likelier than the model thinks, such as names of the user's contacts
 * @property hotwordStrength what is added to the log-probabilities of hotwords; `null` is 2
 * @property voiceActivity skips what is not speech; `null`: off for recordings, on for live sessions
 * @property maxTokens most tokens of a window
 * @property suppressTokens tokens that are never written, beside the model's own list
 * @property allowNonSpeech allows the symbols that the model's list forbids, such as brackets and notes
 * @property normalizeRecording loudness is that of the whole recording, as in the references; not for live sessions
 * @property timestampTokens the model writes timestamps in every window, not only in long recordings; not for live
 *   sessions
 * @property context how much of a window is computed; live sessions have a setting of their own
 * @property asWritten takes each window's text as the model writes it: speech that it leaves out is not decoded again
 * @sample dev.sotto.samples.options
 */
public data class TranscriptionOptions(
    public val language: Language = Language.Auto,
    public val task: SpeechTask = SpeechTask.Transcribe,
    public val timestamps: TimestampDetail = TimestampDetail.Segment,
    public val search: SearchOptions = SearchOptions(),
    public val prompt: String? = null,
    public val promptReach: PromptReach = PromptReach.All,
    public val prefix: String? = null,
    public val conditionOnPrevious: Boolean = false,
    public val hotwords: List<String> = emptyList(),
    public val hotwordStrength: Float? = null,
    public val voiceActivity: VoiceActivity? = null,
    public val maxTokens: Int? = null,
    public val suppressTokens: List<Int> = emptyList(),
    public val allowNonSpeech: Boolean = false,
    public val normalizeRecording: Boolean = false,
    public val timestampTokens: Boolean = false,
    public val context: EncodedContext = EncodedContext.Auto,
    public val asWritten: Boolean = false,
) {
    /** Options for Java: every setter returns the builder. One thread at a time. */
    public class Builder internal constructor(private var options: TranscriptionOptions) {
        /** See [TranscriptionOptions.language]. */
        public fun language(language: Language): Builder = set { copy(language = language) }

        /** See [TranscriptionOptions.task]. */
        public fun task(task: SpeechTask): Builder = set { copy(task = task) }

        /** See [TranscriptionOptions.timestamps]. */
        public fun timestamps(timestamps: TimestampDetail): Builder = set { copy(timestamps = timestamps) }

        /** See [TranscriptionOptions.search]. */
        public fun search(search: SearchOptions): Builder = set { copy(search = search) }

        /** See [TranscriptionOptions.prompt]. */
        public fun prompt(prompt: String?): Builder = set { copy(prompt = prompt) }

        /** See [TranscriptionOptions.promptReach]. */
        public fun promptReach(promptReach: PromptReach): Builder = set { copy(promptReach = promptReach) }

        /** See [TranscriptionOptions.prefix]. */
        public fun prefix(prefix: String?): Builder = set { copy(prefix = prefix) }

        /** See [TranscriptionOptions.conditionOnPrevious]. */
        public fun conditionOnPrevious(condition: Boolean): Builder = set { copy(conditionOnPrevious = condition) }

        /** See [TranscriptionOptions.hotwords]. */
        public fun hotwords(hotwords: List<String>): Builder = set { copy(hotwords = hotwords.toList()) }

        /** See [TranscriptionOptions.hotwordStrength]. */
        public fun hotwordStrength(strength: Float?): Builder = set { copy(hotwordStrength = strength) }

        /** See [TranscriptionOptions.voiceActivity]. */
        public fun voiceActivity(activity: VoiceActivity?): Builder = set { copy(voiceActivity = activity) }

        /** See [TranscriptionOptions.maxTokens]. */
        public fun maxTokens(most: Int?): Builder = set { copy(maxTokens = most) }

        /** See [TranscriptionOptions.suppressTokens]. */
        public fun suppressTokens(tokens: List<Int>): Builder = set { copy(suppressTokens = tokens.toList()) }

        /** See [TranscriptionOptions.allowNonSpeech]. */
        public fun allowNonSpeech(allow: Boolean): Builder = set { copy(allowNonSpeech = allow) }

        /** See [TranscriptionOptions.normalizeRecording]. */
        public fun normalizeRecording(normalize: Boolean): Builder = set { copy(normalizeRecording = normalize) }

        /** See [TranscriptionOptions.timestampTokens]. */
        public fun timestampTokens(write: Boolean): Builder = set { copy(timestampTokens = write) }

        /** See [TranscriptionOptions.context]. */
        public fun context(context: EncodedContext): Builder = set { copy(context = context) }

        /** See [TranscriptionOptions.asWritten]. */
        public fun asWritten(asWritten: Boolean): Builder = set { copy(asWritten = asWritten) }

        /** The options. */
        public fun build(): TranscriptionOptions = options

        private inline fun set(change: TranscriptionOptions.() -> TranscriptionOptions): Builder {
            options = options.change()
            return this
        }
    }

    /** Makes builders, for Java. */
    public companion object {
        /** Starts from the defaults. */
        @JvmStatic
        public fun builder(): Builder = Builder(TranscriptionOptions())
    }
}

/**
 * Options of a live session.
 *
 * @property speech how the speech is decoded; what is not for live sessions is refused
 * @property step seconds of new voice after which the text is decoded again; null for the default
 * @property trim seconds of speech without a pause after which audio behind a final sentence is dropped; null for the
 *   default
 * @property volatileContext how much of the window is encoded at every step; null for the default
 * @property detectVoice without it, a pause of 0.6 s ends an utterance, and noise may become text
 * @property adaptive works less while the device is hot or short of power: steps grow longer than [step] and threads
 *   fewer, as the governor decides from what steps take and from what [Sotto.push] is told. Volatile text then comes
 *   later, and what is said depends on more than the samples
 */
public data class SessionOptions @JvmOverloads constructor(
    public val speech: TranscriptionOptions = TranscriptionOptions(),
    public val step: Double? = null,
    public val trim: Double? = null,
    public val volatileContext: EncodedContext? = null,
    public val detectVoice: Boolean = true,
    public val adaptive: Boolean = false,
)

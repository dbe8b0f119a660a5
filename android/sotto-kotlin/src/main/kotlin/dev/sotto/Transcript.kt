package dev.sotto

/**
 * The text of a recording and where it was said. Times are seconds from the beginning of the audio.
 *
 * @property text the whole text
 * @property language code of the language; where segments differ, that of most of the time
 * @property duration length of the audio in seconds
 * @property segments stretches of speech in order
 * @property timing where the time went
 * @property warnings what was wrong with the recording, in spite of which it was transcribed
 */
public data class Transcript(
    public val text: String,
    public val language: String,
    public val duration: Double,
    public val segments: List<Segment>,
    public val timing: Timing,
    public val warnings: List<String>,
)

/**
 * A stretch of speech, a sentence or so.
 *
 * @property start in seconds
 * @property end in seconds
 * @property text the text, with the leading space that the model wrote
 * @property language code of the language
 * @property tokens tokens of the text and its timestamps
 * @property avgLogprob mean log-probability of the tokens of its window
 * @property compressionRatio length of the window's text over its compressed length: above 2.4 it repeats itself
 * @property noSpeechProb probability that the window holds no speech
 * @property temperature sampling temperature that the window ended with
 * @property words words with their times; empty unless [TimestampDetail.Word] was asked for
 */
public data class Segment @JvmOverloads constructor(
    public val start: Double,
    public val end: Double,
    public val text: String,
    public val language: String = "",
    public val tokens: List<Int> = emptyList(),
    public val avgLogprob: Float = 0f,
    public val compressionRatio: Float = 0f,
    public val noSpeechProb: Float = 0f,
    public val temperature: Float = 0f,
    public val words: List<Word> = emptyList(),
)

/**
 * A word and when it was said.
 *
 * @property start in seconds
 * @property end in seconds
 * @property text the word with its punctuation, with the leading space that the model wrote
 * @property probability mean probability of its tokens
 */
public data class Word(
    public val start: Double,
    public val end: Double,
    public val text: String,
    public val probability: Float,
)

/**
 * Where the time of one transcription went.
 *
 * @property encodeMs encoder
 * @property decodeMs decoder, all attempts
 * @property totalMs from the first sample to the last word
 * @property windows windows that were encoded
 * @property tokens tokens that were sampled, all attempts
 */
public data class Timing(
    public val encodeMs: Double,
    public val decodeMs: Double,
    public val totalMs: Double,
    public val windows: Long,
    public val tokens: Long,
)

/**
 * A language and how likely it is.
 *
 * @property code two or three letters, such as `de`
 * @property probability 0 to 1
 */
public data class DetectedLanguage(public val code: String, public val probability: Float)

/**
 * How far a piece of work has come.
 *
 * @property done in [unit], never decreasing
 * @property total in [unit]; `null` where it is not known
 * @property unit what is counted
 */
public data class Progress(public val done: Long, public val total: Long?, public val unit: Unit) {
    /** What a progress counts. */
    public enum class Unit {
        /** Weights of a model. */
        Weights,

        /** Bytes of a file. */
        Bytes,

        /** Milliseconds of audio. */
        AudioMs,

        /** Recordings that were measured. */
        Recordings,
    }

    /** 0 to 1; `null` where the total is not known. */
    public val fraction: Double?
        get() = total?.let { if (it <= 0) 1.0 else (done.toDouble() / it).coerceIn(0.0, 1.0) }
}

/** What happens while a recording is transcribed. */
public sealed interface TranscriptionEvent {
    /**
     * How far it has come.
     *
     * @property progress milliseconds of audio
     */
    public data class Working(public val progress: Progress) : TranscriptionEvent

    /**
     * A segment that will not change.
     *
     * @property segment the segment; they come in order
     */
    public data class Recognized(public val segment: Segment) : TranscriptionEvent

    /**
     * The end, with everything.
     *
     * @property transcript all segments
     */
    public data class Finished(public val transcript: Transcript) : TranscriptionEvent
}

/**
 * Live text and when it was said.
 *
 * @property text the text with the leading space that the model wrote
 * @property start seconds from the beginning of the stream
 * @property end seconds from the beginning of the stream
 * @property words its words
 */
public data class LiveText(
    public val text: String,
    public val start: Double,
    public val end: Double,
    public val words: List<Word>,
)

/**
 * What a live session says.
 *
 * @sample dev.sotto.samples.liveCaptions
 */
public sealed interface SpeechEvent {
    /** Seconds of audio that had been heard. */
    public val at: Double

    /** The text. */
    public val text: LiveText

    /**
     * What the model makes of the speech at the moment. Replaces the last volatile text; empty when that is taken back.
     */
    public data class Volatile(override val at: Double, override val text: LiveText) : SpeechEvent

    /** Text that will not change. Follows the last final text. */
    public data class Final(override val at: Double, override val text: LiveText) : SpeechEvent
}

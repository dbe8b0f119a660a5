package dev.sotto

import dev.sotto.internal.NativeLibrary
import dev.sotto.internal.native
import dev.sotto.internal.settings
import dev.sotto.internal.speech
import dev.sotto.internal.wellFormed

/** A format of subtitles. */
public enum class SubtitleFormat {
    /** SubRip, `.srt`. */
    Srt,

    /** WebVTT, `.vtt`. */
    Vtt,
}

/**
 * How subtitles are cut.
 *
 * @property maxLineLength most characters on a line; wide characters count twice
 * @property maxCueSeconds most seconds that a cue is shown
 * @property minCueSeconds fewest seconds that a cue is shown
 * @property perWord one cue for each word, where words have times
 */
public data class SubtitleOptions @JvmOverloads constructor(
    public val maxLineLength: Int = 42,
    public val maxCueSeconds: Double = 7.0,
    public val minCueSeconds: Double = 0.8,
    public val perWord: Boolean = false,
)

/**
 * A text and when it is shown.
 *
 * @property start when it appears, in seconds
 * @property end when it is taken away, in seconds
 * @property lines one line or two
 */
public data class SubtitleCue(public val start: Double, public val end: Double, public val lines: List<String>)

/** Subtitles of a transcript. Milliseconds for an hour of speech. */
public object Subtitles {
    /**
     * The file of subtitles that segments make.
     *
     * @throws SpeechException.InvalidOption for options without meaning
     * @sample dev.sotto.samples.subtitles
     */
    @JvmStatic
    @JvmOverloads
    @Throws(SpeechException::class)
    public fun write(
        segments: List<Segment>,
        format: SubtitleFormat = SubtitleFormat.Srt,
        options: SubtitleOptions = SubtitleOptions(),
    ): String = withLibrary {
        val kind = when (format) {
            SubtitleFormat.Srt -> dev.sotto.ffi.SubtitleFormat.SRT
            SubtitleFormat.Vtt -> dev.sotto.ffi.SubtitleFormat.VTT
        }
        dev.sotto.ffi.subtitles(segments.map { it.native() }, kind, options.settings())
    }

    /** The cues that segments make, for players that draw them. */
    @JvmStatic
    @JvmOverloads
    @Throws(SpeechException::class)
    public fun cues(
        segments: List<Segment>,
        options: SubtitleOptions = SubtitleOptions(),
    ): List<SubtitleCue> = withLibrary {
        dev.sotto.ffi.subtitleCues(segments.map { it.native() }, options.settings())
            .map { SubtitleCue(it.start, it.end, it.lines) }
    }
}

/**
 * Differences between a reference and what was recognized.
 *
 * @property hits items that both have
 * @property substitutions items that are another one
 * @property deletions items that are missing
 * @property insertions items that are too many
 * @property rate errors per item of the reference
 */
public data class TextErrors(
    public val hits: Long,
    public val substitutions: Long,
    public val deletions: Long,
    public val insertions: Long,
    public val rate: Double,
)

/** Comparing and cutting texts. */
public object TextMetrics {
    /** The sentences of a text. */
    @JvmStatic
    public fun sentences(text: String): List<String> = withLibrary { dev.sotto.ffi.sentences(text.wellFormed()) }

    /** A text as word error rates compare it: Whisper's English normalization. */
    @JvmStatic
    public fun normalizeEnglish(text: String): String =
        withLibrary { dev.sotto.ffi.normalizeEnglish(text.wellFormed()) }

    /** Errors of words. Normalize both texts first. */
    @JvmStatic
    public fun wordErrors(reference: String, recognized: String): TextErrors =
        withLibrary { dev.sotto.ffi.wordErrors(reference.wellFormed(), recognized.wellFormed()) }.errors()

    /** Errors of characters, for languages that are written without spaces. */
    @JvmStatic
    public fun characterErrors(reference: String, recognized: String): TextErrors =
        withLibrary { dev.sotto.ffi.characterErrors(reference.wellFormed(), recognized.wellFormed()) }.errors()
}

private fun dev.sotto.ffi.TextErrors.errors(): TextErrors =
    TextErrors(hits.toLong(), substitutions.toLong(), deletions.toLong(), insertions.toLong(), rate)

private inline fun <T> withLibrary(call: () -> T): T {
    NativeLibrary.ensure()
    return speech(call = call)
}

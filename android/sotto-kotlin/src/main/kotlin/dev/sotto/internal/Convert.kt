package dev.sotto.internal

import dev.sotto.AudioChannel
import dev.sotto.AudioSource
import dev.sotto.DetectedLanguage
import dev.sotto.EncodedContext
import dev.sotto.FileOpener
import dev.sotto.Language
import dev.sotto.LiveText
import dev.sotto.LogLevel
import dev.sotto.ModelSource
import dev.sotto.OpenFile
import dev.sotto.PackOptions
import dev.sotto.PackedWeights
import dev.sotto.PcmFormat
import dev.sotto.Progress
import dev.sotto.PromptReach
import dev.sotto.SampleEncoding
import dev.sotto.SearchOptions
import dev.sotto.Segment
import dev.sotto.SessionOptions
import dev.sotto.SpeechEvent
import dev.sotto.SpeechException
import dev.sotto.SpeechTask
import dev.sotto.SubtitleOptions
import dev.sotto.Timing
import dev.sotto.TimestampDetail
import dev.sotto.TranscriptionEvent
import dev.sotto.TranscriptionOptions
import dev.sotto.Transcript
import dev.sotto.TrimLevel
import dev.sotto.VoiceActivity
import dev.sotto.VoiceEvent
import dev.sotto.Word
import dev.sotto.ffi.AudioInput
import dev.sotto.ffi.LiveEvent
import dev.sotto.ffi.LiveSettings
import dev.sotto.ffi.ModelLocation
import dev.sotto.ffi.PackSettings
import dev.sotto.ffi.SearchSettings
import dev.sotto.ffi.SpeechSettings
import dev.sotto.ffi.SubtitleSettings
import dev.sotto.ffi.VoiceSearchEvent
import dev.sotto.ffi.AudioChannel as NativeChannel
import dev.sotto.ffi.DetectedLanguage as NativeDetectedLanguage
import dev.sotto.ffi.EncodedContext as NativeContext
import dev.sotto.ffi.LiveText as NativeLiveText
import dev.sotto.ffi.LogLevel as NativeLogLevel
import dev.sotto.ffi.PackedWeights as NativeWeights
import dev.sotto.ffi.PcmFormat as NativeFormat
import dev.sotto.ffi.PromptReach as NativeReach
import dev.sotto.ffi.SampleEncoding as NativeEncoding
import dev.sotto.ffi.Segment as NativeSegment
import dev.sotto.ffi.SpeechTask as NativeTask
import dev.sotto.ffi.Timing as NativeTiming
import dev.sotto.ffi.TimestampDetail as NativeDetail
import dev.sotto.ffi.Transcript as NativeTranscript
import dev.sotto.ffi.TranscriptionEvent as NativeTranscriptionEvent
import dev.sotto.ffi.TrimLevel as NativeTrimLevel
import dev.sotto.ffi.VoiceActivity as NativeVoiceActivity
import dev.sotto.ffi.Word as NativeWord
import java.io.IOException

// Options on their way in.

internal fun TranscriptionOptions.settings(): SpeechSettings = SpeechSettings(
    language = when (language) {
        Language.Auto -> "auto"
        Language.Each -> "each"
        is Language.Of -> language.name.wellFormed()
    },
    task = when (task) {
        SpeechTask.Transcribe -> NativeTask.TRANSCRIBE
        SpeechTask.Translate -> NativeTask.TRANSLATE
    },
    timestamps = when (timestamps) {
        TimestampDetail.Unneeded -> NativeDetail.UNNEEDED
        TimestampDetail.Segment -> NativeDetail.SEGMENT
        TimestampDetail.Word -> NativeDetail.WORD
    },
    search = search.settings(),
    prompt = prompt?.wellFormed(),
    promptReach = when (promptReach) {
        PromptReach.All -> NativeReach.ALL
        PromptReach.First -> NativeReach.FIRST
    },
    prefix = prefix?.wellFormed(),
    conditionOnPrevious = conditionOnPrevious,
    hotwords = hotwords.map { it.wellFormed() },
    hotwordStrength = hotwordStrength,
    voiceActivity = voiceActivity?.settings(),
    maxTokens = maxTokens?.let { count("maxTokens", it) },
    suppressTokens = suppressTokens.map { count("suppressTokens", it) },
    allowNonSpeech = allowNonSpeech,
    normalizeRecording = normalizeRecording,
    timestampTokens = timestampTokens,
    context = context.native(),
    asWritten = asWritten,
)

internal fun SessionOptions.settings(): LiveSettings = LiveSettings(
    speech = speech.settings(),
    step = step,
    trim = trim,
    volatileContext = volatileContext?.native(),
    withoutVoiceActivity = !detectVoice,
    adaptive = adaptive,
)

private fun SearchOptions.settings(): SearchSettings {
    if (temperatures.isEmpty()) throw invalid("temperatures", "needs at least one, each between 0 and 2")
    return SearchSettings(
        beam = count("beam", beam),
        patience = patience,
        lengthPenalty = lengthPenalty,
        temperatures = temperatures,
        bestOf = count("bestOf", bestOf),
        seed = seed.toULong(),
        // Beyond all values: never reached.
        compressionRatio = compressionRatio ?: 1000f,
        logprob = logprob ?: -1000f,
        noSpeech = noSpeech ?: 2f,
    )
}

internal fun VoiceActivity.settings(): NativeVoiceActivity = NativeVoiceActivity(
    model = model?.wellFormed(),
    threshold = threshold,
    endThreshold = endThreshold,
    minSpeechMs = minSpeechMs?.let { count("minSpeechMs", it) },
    minVoicedMs = minVoicedMs?.let { count("minVoicedMs", it) },
    maxSpeechS = maxSpeechSeconds,
    minSilenceMs = minSilenceMs?.let { count("minSilenceMs", it) },
    speechPadMs = speechPadMs?.let { count("speechPadMs", it) },
    minPauseAtMaxSpeechMs = minPauseAtMaxSpeechMs?.let { count("minPauseAtMaxSpeechMs", it) },
)

private fun EncodedContext.native(): NativeContext = when (this) {
    EncodedContext.Auto -> NativeContext.AUTO
    EncodedContext.Window -> NativeContext.WINDOW
    EncodedContext.TrueLength -> NativeContext.TRUE_LENGTH
}

internal fun AudioChannel.native(): NativeChannel = when (this) {
    AudioChannel.Mix -> NativeChannel.MIX
    AudioChannel.Left -> NativeChannel.LEFT
    AudioChannel.Right -> NativeChannel.RIGHT
}

internal fun TrimLevel.native(): NativeTrimLevel = when (this) {
    TrimLevel.Pages -> NativeTrimLevel.PAGES
    TrimLevel.Unused -> NativeTrimLevel.UNUSED
    TrimLevel.Idle -> NativeTrimLevel.IDLE
}

internal fun PackOptions.native(): PackSettings {
    val weights = when (weights) {
        PackedWeights.Int8 -> NativeWeights.INT8
        PackedWeights.Int4 -> NativeWeights.INT4
    }
    return PackSettings(weights, compact, replace)
}

internal fun LogLevel.native(): NativeLogLevel = when (this) {
    LogLevel.Off -> NativeLogLevel.OFF
    LogLevel.Error -> NativeLogLevel.ERROR
    LogLevel.Warn -> NativeLogLevel.WARN
    LogLevel.Info -> NativeLogLevel.INFO
    LogLevel.Debug -> NativeLogLevel.DEBUG
}

internal fun SubtitleOptions.settings(): SubtitleSettings =
    SubtitleSettings(count("maxLineLength", maxLineLength), maxCueSeconds, minCueSeconds, perWord)

internal fun PcmFormat.native(): NativeFormat {
    if (rate !in 1..MOST_RATE || channels !in 1..MOST_CHANNELS) {
        throw SpeechException.InvalidAudio(
            "$rate samples per second on $channels channels is no format of audio",
            "give the rate and the channels that the samples were recorded with",
        )
    }
    val encoding = when (encoding) {
        SampleEncoding.Signed16 -> NativeEncoding.SIGNED16
        SampleEncoding.Float32 -> NativeEncoding.FLOAT32
    }
    return NativeFormat(encoding, rate.toUInt(), channels.toUShort())
}

private const val MOST_RATE = 10_000_000
private const val MOST_CHANNELS = 65_535

/** Natural numbers only: a negative one would become a very large one on the way. */
internal fun count(option: String, value: Int): UInt =
    if (value >= 0) value.toUInt() else throw invalid(option, "is $value, must not be negative")

internal fun bytes(option: String, value: Long): ULong =
    if (value >= 0) value.toULong() else throw invalid(option, "is $value, must not be negative")

internal fun invalid(option: String, problem: String): SpeechException =
    SpeechException.InvalidOption(option, "option `$option` $problem", "change `$option`")

/** Half a surrogate pair is no text, and has no form in UTF-8: it becomes the sign for that. */
internal fun String.wellFormed(): String {
    if (none { it.isSurrogate() }) return this
    return String(toByteArray(Charsets.UTF_16BE), Charsets.UTF_16BE)
}

// Places, which are opened only for as long as the native side takes to make them its own.

internal inline fun <T> ModelSource.located(use: (ModelLocation) -> T): T = when (this) {
    is ModelSource.Path -> use(ModelLocation.Path(path.wellFormed()))
    is ModelSource.Bytes -> use(ModelLocation.Bytes(name.wellFormed(), bytes()))
    is ModelSource.Descriptor -> opened(opener, ::unopenedModel).use { file ->
        file.check(::unopenedModel)
        val (offset, length) = file.offset.toULong() to file.length?.toULong()
        use(ModelLocation.Descriptor(name.wellFormed(), file.descriptor, offset, length))
    }
}

internal inline fun <T> AudioSource.located(use: (AudioInput) -> T): T = when (this) {
    is AudioSource.Path -> use(AudioInput.Path(path.wellFormed()))
    is AudioSource.Bytes -> use(AudioInput.Bytes(name.wellFormed(), bytes))
    is AudioSource.Samples -> use(AudioInput.Samples(pcm, format.native()))
    is AudioSource.Descriptor -> opened(opener, ::unopenedAudio).use { file ->
        file.check(::unopenedAudio)
        val (offset, length) = file.offset.toULong() to file.length?.toULong()
        use(AudioInput.Descriptor(name.wellFormed(), file.descriptor, offset, length))
    }
}

internal fun ModelSource.Descriptor.unopenedModel(problem: String, cause: Exception?): SpeechException =
    SpeechException.InvalidModel("$name: $problem", "check that it is there and may be read", cause)

internal fun AudioSource.Descriptor.unopenedAudio(problem: String, cause: Exception?): SpeechException =
    SpeechException.InvalidAudio("$name: $problem", "check that it is there and may be read", cause)

/** Calls what the app gave, whose errors are those of files. */
internal fun opened(opener: FileOpener, failure: (String, Exception?) -> SpeechException): OpenFile = try {
    opener.open()
} catch (problem: IOException) {
    throw failure(problem.message ?: "cannot be opened", problem)
} catch (problem: SecurityException) {
    throw failure("the app may not open it", problem)
}

internal fun OpenFile.check(failure: (String, Exception?) -> SpeechException) {
    if (descriptor >= 0 && offset >= 0 && (length ?: 0) >= 0) return
    throw failure("descriptor $descriptor, offset $offset, length $length is no part of an open file", null)
}

// Results on their way out.

internal fun NativeTranscriptionEvent.event(): TranscriptionEvent = when (this) {
    is NativeTranscriptionEvent.Progress -> TranscriptionEvent.Working(audioProgress(done, total))
    is NativeTranscriptionEvent.Segment -> TranscriptionEvent.Recognized(segment.segment())
    is NativeTranscriptionEvent.Finished -> TranscriptionEvent.Finished(transcript.transcript())
}

internal fun audioProgress(done: ULong, total: ULong?): Progress =
    Progress(done.toLong(), total?.toLong(), Progress.Unit.AudioMs)

private fun NativeTranscript.transcript(): Transcript =
    Transcript(text, language, duration, segments.map { it.segment() }, timing.timing(), warnings)

private fun NativeSegment.segment(): Segment = Segment(
    start, end, text, language, tokens.map { it.toInt() }, avgLogprob, compressionRatio, noSpeechProb, temperature,
    words.map { it.word() },
)

private fun NativeWord.word(): Word = Word(start, end, text, probability)

private fun NativeTiming.timing(): Timing =
    Timing(encodeMs, decodeMs, totalMs, windows.toLong(), tokens.toLong())

internal fun VoiceSearchEvent.event(): VoiceEvent = when (this) {
    is VoiceSearchEvent.Progress -> VoiceEvent.Working(audioProgress(done, total))
    is VoiceSearchEvent.Speech -> VoiceEvent.Speech(segment.start, segment.end)
    is VoiceSearchEvent.Finished -> VoiceEvent.Finished(duration, warnings)
}

internal fun NativeDetectedLanguage.language(): DetectedLanguage = DetectedLanguage(code, probability)

internal fun LiveEvent.event(): SpeechEvent = when (this) {
    is LiveEvent.Volatile -> SpeechEvent.Volatile(at, text.text())
    is LiveEvent.Final -> SpeechEvent.Final(at, text.text())
}

private fun NativeLiveText.text(): LiveText = LiveText(text, start, end, words.map { it.word() })

// And back again, for subtitles.

internal fun Segment.native(): NativeSegment = NativeSegment(
    start, end, text.wellFormed(), language.wellFormed(), tokens.map { it.toUInt() }, avgLogprob, compressionRatio,
    noSpeechProb, temperature, words.map { NativeWord(it.start, it.end, it.text.wellFormed(), it.probability) },
)

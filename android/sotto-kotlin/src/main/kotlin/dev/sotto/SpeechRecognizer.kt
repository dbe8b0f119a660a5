package dev.sotto

import dev.sotto.internal.NativeJob
import dev.sotto.internal.audioProgress
import dev.sotto.internal.event
import dev.sotto.internal.eventsOf
import dev.sotto.internal.language
import dev.sotto.internal.located
import dev.sotto.internal.native
import dev.sotto.internal.settings
import dev.sotto.internal.speech
import dev.sotto.internal.speechSuspending
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.channelFlow
import kotlinx.coroutines.flow.flowOn
import kotlinx.coroutines.flow.map
import kotlinx.coroutines.future.future
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext
import java.util.concurrent.CompletableFuture
import java.util.function.Consumer
import dev.sotto.ffi.SpeechModel as NativeModel

/**
 * What is known of a loaded model.
 *
 * @property multilingual whether it knows other languages than English
 * @property windowSeconds seconds of audio that it hears at once
 * @property layers layers of encoder and decoder
 * @property width width of the network
 * @property vocabulary tokens of the vocabulary
 * @property transcriptionBytes memory of one transcription with default options, on top of the model's own
 * @property licence licence of a packed model, where its file names one
 * @property deviceProblem why the processor that was asked for does not compute; `null` where it does
 */
public data class SpeechModelInfo(
    public val multilingual: Boolean,
    public val windowSeconds: Double,
    public val layers: List<Int>,
    public val width: Int,
    public val vocabulary: Int,
    public val transcriptionBytes: Long,
    public val licence: String?,
    public val deviceProblem: String?,
)

/** Which channel of a recording is heard. */
public enum class AudioChannel {
    /** All together; one alone where they cancel each other. */
    Mix,

    /** The first one. */
    Left,

    /** The second one. */
    Right,
}

/**
 * A loaded speech-to-text model.
 *
 * Every function may be called from any thread and by any number of coroutines at once; none computes on the caller's
 * thread, so the main thread is fine. A coroutine that is cancelled stops the native work within one token.
 *
 * @sample dev.sotto.samples.transcribeFile
 */
public class SpeechRecognizer internal constructor(
    private val native: NativeModel,
    private val engine: Sotto,
) : AutoCloseable {
    /**
     * Transcribes a recording of any length.
     *
     * @param onProgress called on the engine's dispatcher, several times a second at most
     * @throws SpeechException why it did not work
     */
    @JvmSynthetic
    public suspend fun transcribe(
        audio: AudioSource,
        options: TranscriptionOptions = TranscriptionOptions(),
        channel: AudioChannel = AudioChannel.Mix,
        onProgress: (Progress) -> Unit = {},
    ): Transcript {
        var transcript: Transcript? = null
        transcription(audio, options, channel).collect { event ->
            when (event) {
                is TranscriptionEvent.Working -> onProgress(event.progress)
                is TranscriptionEvent.Recognized -> Unit
                is TranscriptionEvent.Finished -> transcript = event.transcript
            }
        }
        return checkNotNull(transcript) { "a transcription ends with its transcript or throws" }
    }

    /**
     * Transcribes a recording and tells what happens: progress, segments as they become final, and everything at the
     * end. Cold: every collector starts a transcription of its own, and stops it by no longer collecting.
     *
     * @sample dev.sotto.samples.transcribeWithProgress
     */
    @JvmSynthetic
    public fun transcription(
        audio: AudioSource,
        options: TranscriptionOptions = TranscriptionOptions(),
        channel: AudioChannel = AudioChannel.Mix,
    ): Flow<TranscriptionEvent> = eventsOf {
        val job = audio.located { input -> open { transcribe(input, channel.native(), options.settings()) } }
        NativeJob({ job.nextEvent() }, { job.cancel() }, { job.close() })
    }.map { it.event() }.flowOn(engine.dispatcher)

    /**
     * Transcribes live audio. Cold: every collector starts a session of its own, which ends when the audio ends or
     * nobody collects any longer. Audio that comes faster than it is decoded waits: first in the session (five
     * minutes), then in its own flow.
     *
     * @param audio pieces of samples in [format], of any length
     * @sample dev.sotto.samples.liveCaptions
     */
    @JvmSynthetic
    public fun stream(
        audio: Flow<PcmChunk>,
        format: PcmFormat = PcmFormat(),
        options: SessionOptions = SessionOptions(),
    ): Flow<SpeechEvent> = channelFlow {
        startSession(options, format).use { session ->
            launch {
                audio.collect { session.pushWhenReady(it) }
                session.finish()
            }
            session.events().collect { send(it) }
        }
    }.flowOn(engine.dispatcher)

    /**
     * Starts a live session; whoever starts it closes it. Looks at the options and starts a thread: milliseconds.
     *
     * @throws SpeechException.InvalidOption for options that are not for live sessions
     */
    @JvmOverloads
    @Throws(SpeechException::class)
    public fun startSession(
        options: SessionOptions = SessionOptions(),
        format: PcmFormat = PcmFormat(),
    ): SpeechSession {
        val session = open { startSession(format.native(), options.settings()) }
        return SpeechSession(session, format, engine.scope)
    }

    /** The language of a recording's beginning. English-only models always answer English. */
    @JvmSynthetic
    public suspend fun detectLanguage(
        audio: AudioSource,
        channel: AudioChannel = AudioChannel.Mix,
    ): DetectedLanguage = withContext(engine.dispatcher) {
        val job = audio.located { input -> open { detectLanguage(input, channel.native()) } }
        try {
            speechSuspending(NAME) { job.result() }.language()
        } finally {
            job.cancel()
            job.close()
        }
    }

    /**
     * What is known of the model. Cheap.
     *
     * @throws SpeechException.Unloaded when the model is gone
     */
    @Throws(SpeechException::class)
    public fun info(): SpeechModelInfo {
        val info = open { info() }
        return SpeechModelInfo(
            info.multilingual, info.windowSeconds, info.layers.map { it.toInt() }, info.width.toInt(),
            info.vocabulary.toInt(), info.transcriptionBytes.toLong(), info.licence, info.deviceProblem,
        )
    }

    /**
     * Gives the model's memory back even where others hold this object, or one of the same file; transcriptions under
     * way end first. Returns at once. Later calls throw [SpeechException.Unloaded].
     */
    public fun unload() {
        try {
            native.unload()
        } catch (_: IllegalStateException) {
            // Closed, so let go already.
        }
        engine.lookAtModels()
    }

    /**
     * Lets go of the model. Work under way goes on; later calls throw [SpeechException.Unloaded]. May be called again.
     */
    override fun close(): Unit = native.close()

    /** [transcribe] for Java. Cancelling the future stops the work within one token. */
    @JvmOverloads
    public fun transcribeAsync(
        audio: AudioSource,
        options: TranscriptionOptions = TranscriptionOptions(),
        channel: AudioChannel = AudioChannel.Mix,
        onProgress: Consumer<Progress> = Consumer { },
    ): CompletableFuture<Transcript> =
        engine.scope.future { transcribe(audio, options, channel) { onProgress.accept(it) } }

    /** [detectLanguage] for Java. */
    @JvmOverloads
    public fun detectLanguageAsync(
        audio: AudioSource,
        channel: AudioChannel = AudioChannel.Mix,
    ): CompletableFuture<DetectedLanguage> = engine.scope.future { detectLanguage(audio, channel) }

    /** Whether the model's memory was not given back yet. */
    internal val isLoaded: Boolean
        get() = try {
            open { info() }
            true
        } catch (_: SpeechException.Unloaded) {
            false
        }

    private inline fun <T> open(call: NativeModel.() -> T): T = try {
        speech(NAME) { native.call() }
    } catch (ended: SpeechException.Ended) {
        throw SpeechException.Unloaded(ended.reason, "load the model again", ended)
    }

    private suspend fun SpeechSession.pushWhenReady(chunk: PcmChunk) {
        while (true) {
            try {
                return chunk.pushTo(this)
            } catch (_: SpeechException.Behind) {
                delay(BEHIND_MS)
            }
        }
    }

    /** Loads models. */
    public companion object {
        private const val NAME = "the recognizer"

        // A tenth of the shortest step of the live text: the decoder has something to do all the time.
        private const val BEHIND_MS = 100L

        /**
         * Loads a model with the engine that the app shares, [Sotto.shared]. The same file is loaded once however often
         * this is called.
         *
         * @throws SpeechException why it did not work
         */
        @JvmSynthetic
        public suspend fun load(source: ModelSource, onProgress: (Progress) -> Unit = {}): SpeechRecognizer =
            Sotto.shared.loadSpeech(source, onProgress)
    }
}

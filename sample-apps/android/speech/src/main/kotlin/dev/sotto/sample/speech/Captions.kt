package dev.sotto.sample.speech

import dev.sotto.PcmChunk
import dev.sotto.PcmFormat
import dev.sotto.SottoException
import dev.sotto.SpeechEvent
import dev.sotto.SpeechRecognizer
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.flow.transformWhile
import kotlinx.coroutines.flow.update
import kotlinx.coroutines.launch

/** What captions hear. */
class Sound(val chunks: Flow<PcmChunk>, val format: PcmFormat)

/** What captions are doing. */
enum class CaptionsPhase { Idle, Loading, Listening, Finishing }

/**
 * What captions show.
 *
 * @property volatileText follows [finalText], and may still change
 * @property interrupted whether the user did not end them: they can go on
 */
data class CaptionsState(
    val phase: CaptionsPhase = CaptionsPhase.Idle,
    val finalText: String = "",
    val volatileText: String = "",
    val interrupted: Boolean = false,
    val problem: SottoException? = null,
)

/** Live captions. On the main thread. */
class Captions(
    private val scope: CoroutineScope,
    private val load: suspend () -> SpeechRecognizer,
    private val listen: () -> Sound,
) {
    private val states = MutableStateFlow(CaptionsState())
    private val stopping = MutableStateFlow(false)
    private var job: Job? = null

    val state: StateFlow<CaptionsState> = states.asStateFlow()

    /** Begins anew, and what was shown before goes; but after an interruption goes on behind it. */
    fun start() {
        if (job?.isActive == true) return
        val kept = states.value.run { if (interrupted) finalText else "" }
        states.value = CaptionsState(CaptionsPhase.Loading, kept)
        stopping.value = false
        job = scope.launch { run() }
    }

    /** Stops listening. The last words still become final; pressed again, they are given up. */
    fun stop() {
        if (states.value.phase != CaptionsPhase.Listening) {
            job?.cancel()
            return
        }
        stopping.value = true
        states.update { it.copy(phase = CaptionsPhase.Finishing) }
    }

    /** Stops because the app is no longer on the screen; whoever comes back can go on. */
    fun interrupt() {
        if (job?.isActive != true) return
        stop()
        states.update { it.copy(interrupted = true) }
    }

    /** What another process showed before the system ended it. Changes nothing where this one has begun already. */
    fun restore(finalText: String, interrupted: Boolean) {
        if (states.value != CaptionsState()) return
        states.value = CaptionsState(finalText = finalText, interrupted = interrupted)
    }

    private suspend fun run() {
        try {
            val recognizer = load()
            states.update { it.copy(phase = CaptionsPhase.Listening) }
            val sound = listen()
            recognizer.stream(sound.chunks.untilStopped(), sound.format).collect { show(it) }
        } catch (failure: SottoException) {
            states.update { it.copy(problem = failure) }
        } finally {
            states.update { it.copy(phase = CaptionsPhase.Idle, volatileText = "") }
        }
    }

    private fun show(event: SpeechEvent) = states.update {
        when (event) {
            is SpeechEvent.Volatile -> it.copy(volatileText = event.text.text)
            is SpeechEvent.Final -> it.copy(finalText = it.finalText + event.text.text, volatileText = "")
        }
    }

    private fun Flow<PcmChunk>.untilStopped(): Flow<PcmChunk> = transformWhile { chunk ->
        emit(chunk)
        !stopping.value
    }
}

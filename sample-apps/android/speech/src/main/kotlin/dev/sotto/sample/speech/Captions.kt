package dev.sotto.sample.speech

import dev.sotto.PcmChunk
import dev.sotto.PcmFormat
import dev.sotto.SottoException
import dev.sotto.SpeechEvent
import dev.sotto.SpeechRecognizer
import dev.sotto.sample.ui.messageOf
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

/** What captions show. [volatileText] follows [finalText], and may still change. */
data class CaptionsState(
    val phase: CaptionsPhase = CaptionsPhase.Idle,
    val finalText: String = "",
    val volatileText: String = "",
    val problem: String? = null,
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

    /** Begins anew. What was shown before goes. */
    fun start() {
        if (job?.isActive == true) return
        states.value = CaptionsState(CaptionsPhase.Loading)
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

    private suspend fun run() {
        try {
            load().use { recognizer ->
                states.update { it.copy(phase = CaptionsPhase.Listening) }
                val sound = listen()
                recognizer.stream(sound.chunks.untilStopped(), sound.format).collect { show(it) }
            }
        } catch (failure: SottoException) {
            states.update { it.copy(problem = messageOf(failure)) }
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

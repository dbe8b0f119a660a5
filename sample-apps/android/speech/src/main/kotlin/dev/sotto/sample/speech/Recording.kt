package dev.sotto.sample.speech

import dev.sotto.AudioSource
import dev.sotto.Segment
import dev.sotto.SottoException
import dev.sotto.SpeechRecognizer
import dev.sotto.SubtitleFormat
import dev.sotto.Subtitles
import dev.sotto.TimestampDetail
import dev.sotto.TranscriptionEvent
import dev.sotto.TranscriptionOptions
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.flow.update
import kotlinx.coroutines.launch

/** What is known of a transcription. [part] is from 0 to 1, and `null` where the length is not known. */
data class RecordingState(
    val working: Boolean = false,
    val part: Double? = null,
    val segments: List<Segment> = emptyList(),
    val problem: SottoException? = null,
)

/** A recording becomes text, with progress, and subtitles to share. On the main thread. */
class Recording(private val scope: CoroutineScope, private val load: suspend () -> SpeechRecognizer) {
    private val states = MutableStateFlow(RecordingState())
    private var job: Job? = null

    val state: StateFlow<RecordingState> = states.asStateFlow()

    /** Transcribes a recording; another one that is under way stops. */
    fun transcribe(audio: AudioSource) {
        val before = job
        before?.cancel()
        job = scope.launch {
            before?.join()
            states.value = RecordingState(working = true)
            run(audio)
        }
    }

    /** Stops; what was recognized stays. */
    fun stop() {
        job?.cancel()
    }

    /** The text as subtitles. */
    fun subtitles(): String = Subtitles.write(states.value.segments, SubtitleFormat.Srt)

    private suspend fun run(audio: AudioSource) {
        // Times of words let subtitles be cut where someone pauses.
        val options = TranscriptionOptions(timestamps = TimestampDetail.Word)
        try {
            load().transcription(audio, options).collect { show(it) }
        } catch (failure: SottoException) {
            states.update { it.copy(problem = failure) }
        } finally {
            states.update { it.copy(working = false) }
        }
    }

    private fun show(event: TranscriptionEvent) = states.update {
        when (event) {
            is TranscriptionEvent.Working -> it.copy(part = event.progress.fraction)
            is TranscriptionEvent.Recognized -> it.copy(segments = it.segments + event.segment)
            is TranscriptionEvent.Finished -> it.copy(segments = event.transcript.segments)
        }
    }
}

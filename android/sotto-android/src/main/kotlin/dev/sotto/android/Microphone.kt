package dev.sotto.android

import android.Manifest
import android.content.Context
import android.content.pm.PackageManager
import android.media.AudioFormat
import android.media.AudioRecord
import android.media.MediaRecorder
import android.os.Process
import dev.sotto.PcmChunk
import dev.sotto.PcmFormat
import dev.sotto.SampleEncoding
import java.util.concurrent.Executors
import kotlinx.coroutines.asCoroutineDispatcher
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.FlowCollector
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.flow.buffer
import kotlinx.coroutines.flow.emitAll
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.flowOn

/** What the microphone is used for; the system tunes its processing for that. */
public enum class MicrophoneUse(internal val source: Int) {
    /** Dictation and captions: no echo canceller, little processing. The right one for recognition. */
    Recognition(MediaRecorder.AudioSource.VOICE_RECOGNITION),

    /** While the device also plays speech: with echo cancellation. */
    Conversation(MediaRecorder.AudioSource.VOICE_COMMUNICATION),

    /** What the microphone hears, where the device can give that. */
    Unprocessed(MediaRecorder.AudioSource.UNPROCESSED),
}

/**
 * Settings of a microphone.
 *
 * @property use what the system tunes its processing for
 * @property chunkMs milliseconds of audio in a piece, 5 to 1000
 * @property audioFocus whether other apps are asked to be quiet, and calls pause the recording
 * @property bluetooth whether the microphone of a Bluetooth headset is taken while one is connected
 */
public data class MicrophoneSettings @JvmOverloads constructor(
    public val use: MicrophoneUse = MicrophoneUse.Recognition,
    public val chunkMs: Int = 20,
    public val audioFocus: Boolean = true,
    public val bluetooth: Boolean = true,
)

/** Why nothing is heard at the moment. */
public enum class Interruption {
    /** Another app has the audio, such as a phone call. Recording goes on when it is over. */
    FocusLost,

    /** The system gives silence: another app records, or the user turned the microphone off for all apps. */
    Silenced,
}

/** What a microphone is doing. */
public sealed interface MicrophoneState {
    /** Nobody collects its audio. */
    public data object Idle : MicrophoneState

    /**
     * It records.
     *
     * @property device name of the device, where the system tells one
     */
    public data class Listening(public val device: String?) : MicrophoneState

    /**
     * It waits.
     *
     * @property why the reason
     */
    public data class Interrupted(public val why: Interruption) : MicrophoneState
}

/**
 * The microphone as a flow of audio for [dev.sotto.SpeechRecognizer.stream].
 *
 * The app asks for `RECORD_AUDIO` itself; without it collecting throws [MicrophoneException.PermissionMissing]. The
 * flow is cold: the microphone is on while somebody collects, and only then. Calls of other apps pause it, a Bluetooth
 * headset that appears takes over, one that disappears is given up; [state] tells all that. To record in the background
 * an app needs a foreground service of type `microphone`.
 *
 * ```
 * val microphone = Microphone(context)
 * recognizer.stream(microphone.chunks(), microphone.format).collect { draw(it) }
 * ```
 */
public class Microphone @JvmOverloads constructor(
    context: Context,
    private val settings: MicrophoneSettings = MicrophoneSettings(),
) {
    private val context = context.applicationContext
    private val states = MutableStateFlow<MicrophoneState>(MicrophoneState.Idle)

    init {
        require(settings.chunkMs in 5..1000) { "chunkMs is ${settings.chunkMs}, must be between 5 and 1000" }
    }

    /** What it is doing. */
    public val state: StateFlow<MicrophoneState> = states.asStateFlow()

    /** Format of the samples: 16 bit, mono, 16 kHz where the device has that, else what it has. */
    public val format: PcmFormat by lazy {
        val rate = RATES.firstOrNull { bufferBytes(it) > 0 } ?: RATES.first()
        PcmFormat(SampleEncoding.Signed16, rate, channels = 1)
    }

    /**
     * Audio while it is collected. Ten seconds wait for a collector that is slow; after that audio is lost. It ends
     * when another app takes the audio for good, such as a player that the user starts.
     *
     * @throws MicrophoneException why nothing can be heard
     */
    public fun chunks(): Flow<PcmChunk> = flow {
        // A thread of its own: reading blocks, and must come before anything that can wait.
        val thread = Executors.newSingleThreadExecutor { work ->
            val audio = Runnable {
                Process.setThreadPriority(Process.THREAD_PRIORITY_AUDIO)
                work.run()
            }
            Thread(audio, "sotto-microphone")
        }
        try {
            val waiting = WAITING_MS / settings.chunkMs
            emitAll(flow { record() }.flowOn(thread.asCoroutineDispatcher()).buffer(waiting))
        } finally {
            thread.shutdown()
        }
    }

    private suspend fun FlowCollector<PcmChunk>.record() {
        if (context.checkSelfPermission(Manifest.permission.RECORD_AUDIO) != PackageManager.PERMISSION_GRANTED) {
            throw MicrophoneException.PermissionMissing()
        }
        try {
            AudioScene(context, settings).use { scene -> record(scene) }
        } finally {
            states.value = MicrophoneState.Idle
        }
    }

    private suspend fun FlowCollector<PcmChunk>.record(scene: AudioScene) {
        scene.enter()
        while (true) {
            // Before anything is opened: during a call there is nothing to record.
            if (scene.focus.value == Focus.LentAway) {
                states.value = MicrophoneState.Interrupted(Interruption.FocusLost)
                scene.focus.first { it != Focus.LentAway }
            }
            if (scene.focus.value == Focus.Lost) return
            val recorder = open()
            try {
                recorder.startRecording()
                if (recorder.recordingState != AudioRecord.RECORDSTATE_RECORDING) {
                    throw MicrophoneException.Busy("the system does not let the recording start; another app records")
                }
                read(recorder, scene)
            } catch (refused: SecurityException) {
                throw MicrophoneException.PermissionMissing(refused)
            } finally {
                recorder.release()
            }
        }
    }

    /** Reads until the audio belongs to another app or the device is gone. */
    private suspend fun FlowCollector<PcmChunk>.read(recorder: AudioRecord, scene: AudioScene) {
        val samples = ShortArray(format.rate * settings.chunkMs / 1000)
        scene.watch(recorder)
        while (scene.focus.value == Focus.Ours) {
            currentCoroutineContext().ensureActive()
            scene.route(recorder)
            states.value = if (scene.silenced) {
                MicrophoneState.Interrupted(Interruption.Silenced)
            } else {
                MicrophoneState.Listening(recorder.routedDevice?.productName?.toString())
            }
            val count = recorder.read(samples, 0, samples.size, AudioRecord.READ_BLOCKING)
            when {
                count > 0 -> emit(PcmChunk(samples.copyOf(count)))
                // The device went away or the audio server restarted: open it again.
                count == AudioRecord.ERROR_DEAD_OBJECT -> return
                count < 0 -> throw MicrophoneException.Failed("reading the microphone failed with error $count")
            }
        }
        recorder.stop()
    }

    private fun open(): AudioRecord {
        val bytes = bufferBytes(format.rate)
        if (bytes <= 0) throw MicrophoneException.Unavailable("the device records no 16 bit mono audio")
        val audio = AudioFormat.Builder()
            .setEncoding(AudioFormat.ENCODING_PCM_16BIT)
            .setSampleRate(format.rate)
            .setChannelMask(AudioFormat.CHANNEL_IN_MONO)
            .build()
        val recorder = try {
            AudioRecord.Builder()
                .setAudioSource(settings.use.source)
                .setAudioFormat(audio)
                // Half a second: a busy device may not run our thread for that long.
                .setBufferSizeInBytes(maxOf(bytes, format.rate))
                .build()
        } catch (refused: UnsupportedOperationException) {
            throw MicrophoneException.Unavailable("the system does not open the microphone", refused)
        }
        if (recorder.state != AudioRecord.STATE_INITIALIZED) {
            recorder.release()
            throw MicrophoneException.Unavailable("the system does not open the microphone")
        }
        return recorder
    }

    private fun bufferBytes(rate: Int): Int =
        AudioRecord.getMinBufferSize(rate, AudioFormat.CHANNEL_IN_MONO, AudioFormat.ENCODING_PCM_16BIT)

    private companion object {
        // What speech models hear, then what every device must have.
        val RATES = listOf(16_000, 48_000, 44_100)
        const val WAITING_MS = 10_000
    }
}

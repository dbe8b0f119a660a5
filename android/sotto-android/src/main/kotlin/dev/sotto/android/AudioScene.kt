package dev.sotto.android

import android.content.Context
import android.media.AudioAttributes
import android.media.AudioDeviceCallback
import android.media.AudioDeviceInfo
import android.media.AudioFocusRequest
import android.media.AudioManager
import android.media.AudioRecord
import android.media.AudioRecordingConfiguration
import android.os.Build
import android.os.Handler
import android.os.Looper
import kotlinx.coroutines.flow.MutableStateFlow

/** Whose the audio of the device is. */
internal enum class Focus {
    /** Ours. */
    Ours,

    /** Another app's for a while, such as a call. */
    LentAway,

    /** Another app's, until the user comes back. */
    Lost,
}

/**
 * What surrounds a recording: who else uses the audio, and which devices are there. Its callbacks come on the main
 * thread.
 */
internal class AudioScene(context: Context, private val settings: MicrophoneSettings) : AutoCloseable {
    private val audio: AudioManager = context.getSystemService(AudioManager::class.java)
        ?: throw MicrophoneException.Unavailable("the device has no audio")
    private val main = Handler(Looper.getMainLooper())

    /** Whose the audio is. */
    val focus = MutableStateFlow(Focus.Ours)

    /** The system gives silence. */
    @Volatile
    var silenced = false
        private set

    /** The headset that should be heard, and whether that is to be told to the recorder. */
    @Volatile
    private var headset: AudioDeviceInfo? = null

    @Volatile
    private var routeChanged = false

    @Volatile
    private var session = 0
    private var communicating = false

    private val request = AudioFocusRequest.Builder(AudioManager.AUDIOFOCUS_GAIN_TRANSIENT_EXCLUSIVE)
        .setAudioAttributes(
            AudioAttributes.Builder()
                .setUsage(AudioAttributes.USAGE_ASSISTANT)
                .setContentType(AudioAttributes.CONTENT_TYPE_SPEECH)
                .build(),
        )
        .setAcceptsDelayedFocusGain(true)
        .setOnAudioFocusChangeListener({ change -> focus.value = focus(change) }, main)
        .build()

    private val devices = object : AudioDeviceCallback() {
        override fun onAudioDevicesAdded(added: Array<out AudioDeviceInfo>) = chooseDevice()

        override fun onAudioDevicesRemoved(removed: Array<out AudioDeviceInfo>) = chooseDevice()
    }

    private val recordings = object : AudioManager.AudioRecordingCallback() {
        override fun onRecordingConfigChanged(configurations: MutableList<AudioRecordingConfiguration>) {
            silenced = isSilenced(configurations)
        }
    }

    /** Asks for the audio and looks for a headset. */
    fun enter() {
        if (settings.audioFocus) {
            when (audio.requestAudioFocus(request)) {
                AudioManager.AUDIOFOCUS_REQUEST_GRANTED -> Unit
                // A call is under way: the focus comes when it is over.
                AudioManager.AUDIOFOCUS_REQUEST_DELAYED -> focus.value = Focus.LentAway
                else -> throw MicrophoneException.Busy("another app has the audio and does not share it")
            }
        }
        audio.registerAudioRecordingCallback(recordings, main)
        if (settings.bluetooth) {
            chooseDevice()
            audio.registerAudioDeviceCallback(devices, main)
        }
    }

    /** A recorder was started; what the system says of its audio session is about it. */
    fun watch(recorder: AudioRecord) {
        session = recorder.audioSessionId
        silenced = isSilenced(audio.activeRecordingConfigurations)
        routeChanged = headset != null
    }

    /** Moves a recorder to another device, where one has come or gone. Between two reads. */
    fun route(recorder: AudioRecord) {
        if (!routeChanged) return
        routeChanged = false
        recorder.preferredDevice = headset
    }

    override fun close() {
        audio.unregisterAudioRecordingCallback(recordings)
        if (settings.bluetooth) {
            audio.unregisterAudioDeviceCallback(devices)
            communicate(false)
        }
        if (settings.audioFocus) audio.abandonAudioFocusRequest(request)
    }

    private fun chooseDevice() {
        val found = audio.getDevices(AudioManager.GET_DEVICES_INPUTS).firstOrNull { it.type in HEADSETS }
        if (found?.id == headset?.id) return
        communicate(found != null)
        headset = found
        routeChanged = true
    }

    /** A Bluetooth headset sends its microphone only over the link that calls use. */
    private fun communicate(on: Boolean) {
        if (on == communicating) return
        communicating = on
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.S) {
            val link = audio.availableCommunicationDevices.firstOrNull { on && it.type in HEADSETS }
            if (link != null) audio.setCommunicationDevice(link) else audio.clearCommunicationDevice()
        } else {
            scoLink(on)
        }
    }

    @Suppress("DEPRECATION") // Before Android 12 there is nothing else.
    private fun scoLink(on: Boolean) {
        if (on) audio.startBluetoothSco() else audio.stopBluetoothSco()
        audio.isBluetoothScoOn = on
    }

    private fun isSilenced(configurations: List<AudioRecordingConfiguration>): Boolean =
        Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q &&
            configurations.any { it.clientAudioSessionId == session && it.isClientSilenced }

    private fun focus(change: Int): Focus = when (change) {
        AudioManager.AUDIOFOCUS_LOSS -> Focus.Lost
        AudioManager.AUDIOFOCUS_LOSS_TRANSIENT -> Focus.LentAway
        // Whoever only wants others to be quieter does not mind being recorded over.
        else -> Focus.Ours
    }

    private companion object {
        val HEADSETS = setOf(AudioDeviceInfo.TYPE_BLUETOOTH_SCO, AudioDeviceInfo.TYPE_BLE_HEADSET)
    }
}

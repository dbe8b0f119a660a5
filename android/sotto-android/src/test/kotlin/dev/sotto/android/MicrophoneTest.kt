package dev.sotto.android

import android.Manifest
import android.app.Application
import android.content.Context
import android.media.AudioDeviceInfo
import android.media.AudioManager
import android.media.AudioRecord
import android.os.Looper
import dev.sotto.PcmChunk
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.After
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.shadows.AudioDeviceInfoBuilder
import org.robolectric.shadows.ShadowAudioRecord
import java.lang.reflect.Field
import java.util.concurrent.CopyOnWriteArrayList
import java.util.concurrent.atomic.AtomicInteger
import kotlin.test.assertContentEquals
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.test.assertNotNull
import kotlin.test.assertNull
import kotlin.test.assertTrue

/** The microphone as apps see it, on a device whose audio the tests make. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [35])
class MicrophoneTest {
    private val application: Application = RuntimeEnvironment.getApplication()
    private val audio = application.getSystemService(AudioManager::class.java)!!
    private val recorders = CopyOnWriteArrayList<AudioRecord>()
    private val count = AtomicInteger()

    /** What the next read gives, where that is not samples. */
    private val failures = Channel<Int>(Channel.UNLIMITED)

    @Before
    fun deviceWithMicrophone() {
        shadowOf(application).grantPermissions(Manifest.permission.RECORD_AUDIO)
        ShadowAudioRecord.setSourceProvider { recorder ->
            if (recorder !in recorders) recorders += recorder
            object : ShadowAudioRecord.AudioRecordSource {
                override fun readInShortArray(samples: ShortArray, offset: Int, size: Int, blocking: Boolean): Int {
                    failures.tryReceive().getOrNull()?.let { return it }
                    // As a device does: a piece takes its time.
                    Thread.sleep(1)
                    for (index in 0 until size) samples[offset + index] = count.getAndIncrement().toShort()
                    return size
                }
            }
        }
    }

    @After
    fun noMicrophone() = ShadowAudioRecord.clearSource()

    private fun microphone(settings: MicrophoneSettings = MicrophoneSettings()) =
        Microphone(application as Context, settings)

    /** Runs a test off the main thread, whose messages are delivered meanwhile. */
    private fun test(block: suspend CoroutineScope.() -> Unit) {
        var failure: Throwable? = null
        val job = CoroutineScope(Dispatchers.Default).launch {
            try {
                withTimeout(20_000) { block() }
            } catch (problem: Throwable) {
                failure = problem
            }
        }
        while (job.isActive) {
            shadowOf(Looper.getMainLooper()).idle()
            Thread.sleep(2)
        }
        failure?.let { throw it }
    }

    private fun CoroutineScope.recording(microphone: Microphone): Pair<Job, MutableList<PcmChunk>> {
        val heard = CopyOnWriteArrayList<PcmChunk>()
        return launch { microphone.chunks().collect { heard += it } } to heard
    }

    @Test
    fun `pieces come in order and without gaps`() = test {
        val chunks = microphone().chunks().take(10).toList()
        assertTrue(chunks.all { it.size == 320 })
        val samples = chunks.flatMap { it.toShortArray()!!.asList() }
        assertContentEquals((0 until 3200).map { it.toShort() }, samples)
    }

    @Test
    fun `pieces are as long as asked for`() = test {
        assertEquals(1600, microphone(MicrophoneSettings(chunkMs = 100)).chunks().first().size)
        assertFailsWith<IllegalArgumentException> { microphone(MicrophoneSettings(chunkMs = 0)) }
    }

    @Test
    fun `the microphone is on only while someone collects`() = test {
        val microphone = microphone()
        assertEquals(MicrophoneState.Idle, microphone.state.value)
        assertEquals(0, recorders.size)
        val (job, _) = recording(microphone)
        microphone.state.first { it is MicrophoneState.Listening }
        job.cancelAndJoin()
        assertEquals(MicrophoneState.Idle, microphone.state.value)
        assertTrue(recorders.all { it.state == AudioRecord.STATE_UNINITIALIZED })
        // Cold: it can be collected again.
        microphone.chunks().first()
    }

    @Test
    fun `without the permission nothing is opened`() = test {
        shadowOf(application).denyPermissions(Manifest.permission.RECORD_AUDIO)
        val failure = assertFailsWith<MicrophoneException.PermissionMissing> { microphone().chunks().first() }
        assertEquals("permission", failure.code)
        assertTrue("RECORD_AUDIO" in failure.nextStep)
        assertEquals(0, recorders.size)
    }

    @Test
    fun `a call pauses the recording and gives it back`() = test {
        val microphone = microphone()
        val (job, heard) = recording(microphone)
        microphone.state.first { it is MicrophoneState.Listening }
        focus(AudioManager.AUDIOFOCUS_LOSS_TRANSIENT)
        microphone.state.first { it == MicrophoneState.Interrupted(Interruption.FocusLost) }
        val during = heard.size
        delay(50)
        assertTrue(heard.size <= during + 1)
        focus(AudioManager.AUDIOFOCUS_GAIN)
        microphone.state.first { it is MicrophoneState.Listening }
        until { recorders.size == 2 }
        job.cancelAndJoin()
    }

    @Test
    fun `who only wants others quieter does not pause it`() = test {
        val microphone = microphone()
        val (job, heard) = recording(microphone)
        microphone.state.first { it is MicrophoneState.Listening }
        focus(AudioManager.AUDIOFOCUS_LOSS_TRANSIENT_CAN_DUCK)
        val before = heard.size
        until { heard.size >= before + 5 }
        job.cancelAndJoin()
        assertEquals(1, recorders.size)
    }

    @Test
    fun `another player ends it, and the focus is given back`() = test {
        val microphone = microphone()
        val (job, _) = recording(microphone)
        microphone.state.first { it is MicrophoneState.Listening }
        focus(AudioManager.AUDIOFOCUS_LOSS)
        job.join()
        assertTrue(!job.isCancelled)
        assertNotNull(shadowOf(audio).lastAbandonedAudioFocusRequest)
        assertEquals(MicrophoneState.Idle, microphone.state.value)
    }

    @Test
    fun `during a call it is busy, or waits where the system says so`() = test {
        shadowOf(audio).setNextFocusRequestResponse(AudioManager.AUDIOFOCUS_REQUEST_FAILED)
        assertFailsWith<MicrophoneException.Busy> { microphone().chunks().first() }
        shadowOf(audio).setNextFocusRequestResponse(AudioManager.AUDIOFOCUS_REQUEST_DELAYED)
        val microphone = microphone()
        val (job, _) = recording(microphone)
        microphone.state.first { it is MicrophoneState.Interrupted }
        assertEquals(0, recorders.size)
        focus(AudioManager.AUDIOFOCUS_GAIN)
        microphone.state.first { it is MicrophoneState.Listening }
        job.cancelAndJoin()
    }

    @Test
    fun `the focus is left alone where the app manages it`() = test {
        microphone(MicrophoneSettings(audioFocus = false)).chunks().first()
        assertNull(shadowOf(audio).lastAudioFocusRequest)
    }

    @Test
    fun `a headset that appears is taken, and given up when it goes`() = test {
        val headset = headset(AudioDeviceInfo.TYPE_BLUETOOTH_SCO)
        shadowOf(audio).setAvailableCommunicationDevices(listOf(headset))
        val microphone = microphone()
        val (job, heard) = recording(microphone)
        microphone.state.first { it is MicrophoneState.Listening }
        assertNull(audio.communicationDevice)
        shadowOf(audio).addInputDevice(headset, true)
        until { audio.communicationDevice == headset && recorders.lastOrNull()?.preferredDevice == headset }
        shadowOf(audio).removeInputDevice(headset, true)
        until { audio.communicationDevice == null && recorders.lastOrNull()?.preferredDevice == null }
        val before = heard.size
        until { heard.size >= before + 3 }
        job.cancelAndJoin()
        assertEquals(1, recorders.size)
    }

    @Test
    fun `a headset that is there already is taken from the start`() = test {
        val headset = headset(AudioDeviceInfo.TYPE_BLE_HEADSET)
        shadowOf(audio).setAvailableCommunicationDevices(listOf(headset))
        shadowOf(audio).setInputDevices(listOf(headset))
        val (job, _) = recording(microphone())
        until { recorders.lastOrNull()?.preferredDevice == headset }
        job.cancelAndJoin()
        assertNull(audio.communicationDevice)
    }

    @Test
    fun `a device that dies is opened again`() = test {
        failures.send(AudioRecord.ERROR_DEAD_OBJECT)
        assertEquals(320, microphone().chunks().first().size)
        assertEquals(2, recorders.size)
    }

    @Test
    fun `an error of the device is told`() = test {
        failures.send(AudioRecord.ERROR_INVALID_OPERATION)
        val failure = assertFailsWith<MicrophoneException> { microphone().chunks().first() }
        assertIs<MicrophoneException.Failed>(failure)
        assertTrue(failure.nextStep.isNotEmpty())
    }

    @Test
    fun `silence that the system gives is told`() = test {
        val microphone = microphone()
        val (job, _) = recording(microphone)
        microphone.state.first { it is MicrophoneState.Listening }
        silence(true)
        microphone.state.first { it == MicrophoneState.Interrupted(Interruption.Silenced) }
        silence(false)
        microphone.state.first { it is MicrophoneState.Listening }
        job.cancelAndJoin()
    }

    private suspend fun until(holds: () -> Boolean) {
        while (!holds()) delay(1)
    }

    /** A device that sound comes from: the builder makes ones that it goes to. */
    private fun headset(type: Int): AudioDeviceInfo {
        val headset = AudioDeviceInfoBuilder.newBuilder().setType(type).build()
        val port = field(headset, "mPort").get(headset)
        field(port, "mRole").setInt(port, ROLE_SOURCE)
        return headset
    }

    private fun field(of: Any, name: String): Field =
        generateSequence<Class<*>>(of.javaClass) { it.superclass }
            .firstNotNullOf { type -> type.declaredFields.firstOrNull { it.name == name } }
            .apply { isAccessible = true }

    private fun focus(change: Int) = shadowOf(audio).lastAudioFocusRequest.listener.onAudioFocusChange(change)

    private suspend fun silence(on: Boolean) {
        until { recorders.isNotEmpty() }
        val session = recorders.last().audioSessionId
        val configuration = shadowOf(audio).createActiveRecordingConfiguration(session, 6, "dev.sotto")
        field(configuration, "mClientSilenced").setBoolean(configuration, on)
        shadowOf(audio).setActiveRecordingConfigurations(listOf(configuration), true)
    }

    private companion object {
        // AudioPort.ROLE_SOURCE, which apps do not see.
        const val ROLE_SOURCE = 1
    }
}

package dev.sotto.android

import android.app.Application
import android.content.ComponentCallbacks2
import android.content.ContentProvider
import android.content.ContentValues
import android.content.Intent
import android.content.pm.ProviderInfo
import android.content.res.AssetFileDescriptor
import android.database.Cursor
import android.net.Uri
import android.os.BatteryManager
import android.os.Looper
import android.os.ParcelFileDescriptor
import android.os.PowerManager
import dev.sotto.AudioSource
import dev.sotto.ModelSource
import dev.sotto.PowerSource
import dev.sotto.SessionOptions
import dev.sotto.Sotto
import dev.sotto.SottoSettings
import dev.sotto.SpeechException
import dev.sotto.ThermalState
import dev.sotto.TrimLevel
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.After
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import java.io.File
import java.io.FileNotFoundException
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNotNull
import kotlin.test.assertTrue

/** Memory, heat, and models behind Android's own doors, with the real engine below. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [35])
class LifecycleTest {
    private val application: Application = RuntimeEnvironment.getApplication()
    private val power = application.getSystemService(PowerManager::class.java)
    private val engine = Sotto(SottoSettings(threads = 1, memoryLimit = 500_000_000))

    @After
    fun close() = engine.close()

    @Test
    fun `unused models go when the app is in the background`() = runBlocking {
        SottoLifecycle.attach(application, engine).use {
            engine.loadSpeech(ModelSource.file(MODEL)).close()
            application.onTrimMemory(ComponentCallbacks2.TRIM_MEMORY_UI_HIDDEN)
            assertEquals(1, engine.models().size)
            application.onTrimMemory(ComponentCallbacks2.TRIM_MEMORY_BACKGROUND)
            assertEquals(0, engine.models().size)
        }
    }

    @Test
    fun `idle models go when memory is low, and say so`() = runBlocking {
        SottoLifecycle.attach(application, engine).use {
            val recognizer = engine.loadSpeech(ModelSource.file(MODEL))
            application.onLowMemory()
            assertEquals(0, engine.memory().used)
            assertFailsWith<SpeechException.Unloaded> { recognizer.transcribe(AudioSource.file(DEMO)) }
            recognizer.close()
        }
    }

    @Test
    fun `every level of the system has its own of ours`() {
        val levels = listOf(5, 10, 15, 20, 40, 60, 80, 100).associateWith(SottoLifecycle::trimLevel)
        val expected = listOf(
            TrimLevel.Pages, TrimLevel.Pages, TrimLevel.Unused, TrimLevel.Pages, TrimLevel.Unused, TrimLevel.Idle,
            TrimLevel.Idle, TrimLevel.Idle,
        )
        assertEquals(expected, levels.values.toList())
    }

    @Test
    fun `heat makes adaptive sessions work less`() = runBlocking {
        SottoLifecycle.attach(application, engine).use { lifecycle ->
            assertEquals(ThermalState.Nominal, lifecycle.thermalState.value)
            val recognizer = engine.loadSpeech(ModelSource.file(MODEL))
            fun step(status: Int): Double {
                shadowOf(power).setCurrentThermalStatus(status)
                return recognizer.startSession(SessionOptions(adaptive = true)).use {
                    assertNotNull(engine.adapted()).setting.stepSeconds
                }.also { while (engine.adapted() != null) Thread.sleep(5) }
            }
            val steps = listOf(
                PowerManager.THERMAL_STATUS_NONE, PowerManager.THERMAL_STATUS_LIGHT,
                PowerManager.THERMAL_STATUS_SEVERE, PowerManager.THERMAL_STATUS_SHUTDOWN,
            ).map { step(it) }
            assertEquals(steps.sorted(), steps)
            assertTrue(steps.first() == 1.1 && steps[1] > 1.1 && steps.last() > steps[1], "$steps")
            assertEquals(ThermalState.Critical, lifecycle.thermalState.value)
            // Cool again, but power is being saved.
            val cool = step(PowerManager.THERMAL_STATUS_NONE)
            shadowOf(power).setIsPowerSaveMode(true)
            application.sendBroadcast(Intent(PowerManager.ACTION_POWER_SAVE_MODE_CHANGED))
            shadowOf(Looper.getMainLooper()).idle()
            assertTrue(step(PowerManager.THERMAL_STATUS_NONE) > cool)
            recognizer.close()
        }
    }

    @Test
    fun `what the device tells becomes a reading`() = runBlocking {
        val monitor = DeviceMonitor(application)
        val status = Intent(Intent.ACTION_BATTERY_CHANGED)
            .putExtra(BatteryManager.EXTRA_LEVEL, 30).putExtra(BatteryManager.EXTRA_SCALE, 200)
            .putExtra(BatteryManager.EXTRA_TEMPERATURE, 312).putExtra(BatteryManager.EXTRA_VOLTAGE, 3_900)
            .putExtra(BatteryManager.EXTRA_STATUS, BatteryManager.BATTERY_STATUS_CHARGING)
        @Suppress("DEPRECATION")
        application.sendStickyBroadcast(status)
        shadowOf(application.getSystemService(BatteryManager::class.java))
            .setLongProperty(BatteryManager.BATTERY_PROPERTY_CURRENT_NOW, -250_000)
        shadowOf(power).setCurrentThermalStatus(PowerManager.THERMAL_STATUS_SEVERE)
        shadowOf(power).setIsPowerSaveMode(true)
        val reading = withTimeout(10_000) { monitor.readings().first() }
        assertEquals(ThermalState.Serious, reading.thermal)
        assertEquals(0.15, reading.batteryLevel)
        assertEquals(31.2, reading.temperature)
        assertEquals(3_900, reading.voltageMillivolts)
        assertEquals(PowerSource.Charging, reading.power)
        assertEquals(-250_000, reading.currentMicroamperes)
        assertEquals(true, reading.lowPower)
        assertEquals(emptyList(), reading.rails)
    }

    @Test
    fun `after close nothing is heard any more`() {
        val lifecycle = SottoLifecycle.attach(application, engine)
        lifecycle.close()
        lifecycle.close()
        assertTrue(shadowOf(power).thermalStatusListeners.isEmpty())
        engine.close()
        application.onTrimMemory(ComponentCallbacks2.TRIM_MEMORY_COMPLETE)
    }

    @Test
    fun `an engine that was closed is trimmed without harm`() {
        SottoLifecycle.attach(application, engine).use {
            engine.close()
            application.onTrimMemory(ComponentCallbacks2.TRIM_MEMORY_COMPLETE)
        }
    }

    @Test
    fun `a model and a recording behind content URIs`() = runBlocking {
        Files.register()
        val model = AndroidModels.content(application, Uri.parse("content://files/model"))
        val demo = AndroidAudio.content(application, Uri.parse("content://files/inside"))
        withTimeout(60_000) {
            engine.loadSpeech(model).use { assertContains(it.transcribe(demo).text, "airport") }
        }
    }

    @Test
    fun `what is not behind a URI is said without naming it`() = runBlocking {
        Files.register()
        val missing = AndroidModels.content(application, Uri.parse("content://files/private-name"))
        val failure = assertFailsWith<SpeechException.InvalidModel> { engine.loadSpeech(missing) }
        assertTrue("content of files" in failure.reason && "private-name" !in failure.reason, failure.reason)
    }

    @Test
    fun `an asset that is missing says so`() = runBlocking {
        val failure = assertFailsWith<SpeechException.InvalidModel> {
            engine.loadSpeech(AndroidModels.starter(application))
        }
        assertContains(failure.reason, "no such asset")
        val audio = assertFailsWith<SpeechException.InvalidAudio> {
            engine.findSpeech(AndroidAudio.asset(application, "a.wav")).collect { }
        }
        assertContains(audio.reason, "no such asset")
    }

    /** A provider of two files, one of them in the middle of another. */
    class Files : ContentProvider() {
        override fun onCreate() = true

        override fun openAssetFile(uri: Uri, mode: String): AssetFileDescriptor = when (uri.lastPathSegment) {
            "model" -> AssetFileDescriptor(open(MODEL), 0, AssetFileDescriptor.UNKNOWN_LENGTH)
            "inside" -> {
                val file = File.createTempFile("demo", ".bin")
                file.deleteOnExit()
                file.writeBytes(ByteArray(100) + DEMO.readBytes() + ByteArray(50))
                AssetFileDescriptor(open(file), 100, DEMO.length())
            }
            else -> throw FileNotFoundException("there is no such file")
        }

        private fun open(file: File) = ParcelFileDescriptor.open(file, ParcelFileDescriptor.MODE_READ_ONLY)

        override fun query(u: Uri, p: Array<String>?, s: String?, a: Array<String>?, o: String?): Cursor? = null

        override fun getType(uri: Uri): String? = null

        override fun insert(uri: Uri, values: ContentValues?): Uri? = null

        override fun delete(uri: Uri, selection: String?, arguments: Array<String>?) = 0

        override fun update(uri: Uri, values: ContentValues?, selection: String?, arguments: Array<String>?) = 0

        companion object {
            fun register() {
                val info = ProviderInfo().apply { authority = "files" }
                Robolectric.buildContentProvider(Files::class.java).create(info)
            }
        }
    }

    private companion object {
        val ROOT = File(System.getProperty("sotto.root"))
        val MODEL = ROOT.resolve("core/starter/models/speech/starter.en.sotto")
        val DEMO = ROOT.resolve("core/starter/audio/demo.flac")
    }
}

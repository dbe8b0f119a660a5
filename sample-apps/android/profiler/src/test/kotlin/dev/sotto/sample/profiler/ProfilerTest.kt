package dev.sotto.sample.profiler

import android.content.Intent
import android.net.Uri
import android.webkit.WebView
import android.widget.ProgressBar
import dev.sotto.AudioSource
import dev.sotto.ModelSource
import dev.sotto.sample.ui.Screen
import dev.sotto.sample.ui.Variant
import org.junit.After
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import java.io.File
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertTrue

/** The app as someone uses it. Its measurements are too short to be worth anything, and it says so. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [35])
@GraphicsMode(GraphicsMode.Mode.NATIVE)
class ProfilerTest {
    private val app = RuntimeEnvironment.getApplication() as ProfilerApp

    @Before
    fun shortMeasurement() {
        Variant.Light.apply()
        app.model = { ModelSource.file(ROOT.resolve("core/starter/models/speech/starter.en.sotto")) }
        app.recording = { AudioSource.file(ROOT.resolve("core/starter/audio/demo.flac")) }
        app.options = app.options.copy(laterLoads = 1, warmRuns = 1, sustainedSeconds = 600.0)
    }

    @After
    fun quiet() = app.profiler.stop()

    private fun open() = Screen(ProfilerActivity::class.java)

    @Test
    fun `a measurement shows progress, ends early, says what it is worth and why, and is exported`() {
        val screen = open()
        assertContains(screen.text(R.id.told), "Unplug")
        screen.press(R.id.start)
        assertFalse(screen.isShown(R.id.start))
        screen.waitFor("progress") { screen.find<ProgressBar>(R.id.progress).progress > 0 }
        screen.check("measuring")
        screen.press(R.id.end_early)
        screen.waitFor("the report") { screen.isShown(R.id.export) && screen.isShown(R.id.start) }
        assertEquals("", screen.text(R.id.problem))
        assertEquals("Not valid", screen.text(R.id.verdict))
        assertTrue(screen.text(R.id.told).isNotBlank())
        val page = shadowOf(screen.find<WebView>(R.id.plots)).lastLoadDataWithBaseURL.data
        assertContains(page, "<svg")
        screen.press(R.id.export)
        val files = sent(screen)
        assertEquals(listOf("profile.json", "profile.html"), files.map { it.lastPathSegment })
        assertContains(read(files[0]), "\"verdict\"")
        assertEquals(page, read(files[1]))
        // Turned, the screen shows the same.
        screen.recreate()
        assertEquals("Not valid", screen.text(R.id.verdict))
    }

    @Test
    fun `stopped, there is no report, and another one can begin`() {
        val screen = open()
        screen.press(R.id.start)
        screen.press(R.id.stop)
        screen.waitFor("the end") { screen.isShown(R.id.start) }
        assertFalse(screen.isShown(R.id.export) || screen.isShown(R.id.verdict) || screen.isShown(R.id.problem))
        screen.press(R.id.start)
        screen.waitFor("work") { app.profiler.state.value.part > 0 }
    }

    @Test
    fun `every state fits, has labels and large enough buttons, on every device`() {
        app.options = app.options.copy(sustainedSeconds = 0.1)
        val first = open()
        first.press(R.id.start)
        first.waitFor("the report") { first.isShown(R.id.export) && first.isShown(R.id.start) }
        first.leave()
        for (variant in Variant.entries) {
            variant.apply()
            val screen = open()
            screen.waitFor("the report") { screen.isShown(R.id.verdict) }
            screen.check("$variant")
            screen.picture("profiler-${variant.name.lowercase()}")
            screen.leave()
        }
    }

    private fun sent(screen: Screen<ProfilerActivity>): List<Uri> {
        val chooser = shadowOf(screen.activity).nextStartedActivity
        val intent = chooser.getParcelableExtra(Intent.EXTRA_INTENT, Intent::class.java)!!
        assertEquals(Intent.ACTION_SEND_MULTIPLE, intent.action)
        return intent.getParcelableArrayListExtra(Intent.EXTRA_STREAM, Uri::class.java)!!
    }

    private fun read(uri: Uri): String =
        app.contentResolver.openInputStream(uri)!!.use { it.readBytes().decodeToString() }

    private companion object {
        val ROOT = File(System.getProperty("sotto.root"))
    }
}

package dev.sotto

import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.toList
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertNotNull
import kotlin.test.assertNull
import kotlin.test.assertTrue

/** Sessions that work less while the device is hot. */
class AdaptiveTest {
    private val engine = Sotto(SottoSettings(threads = 2))
    private val adaptive = SessionOptions(adaptive = true)

    @AfterEach
    fun close() = engine.close()

    @Test
    fun `a hot device decodes live text less often, and says the same in the end`() = waiting {
        engine.loadSpeech(Fixtures.model).use { recognizer ->
            suspend fun events(): List<SpeechEvent> =
                recognizer.stream(Fixtures.chunks(Fixtures.samples, 1_600), options = adaptive).toList()
            val cool = events()
            engine.push(DeviceReading(thermal = ThermalState.Critical, power = PowerSource.Battery))
            val hot = events()
            val (often, seldom) = cool.volatile() to hot.volatile()
            assertTrue(seldom < often, "$seldom of $often")
            for (each in listOf(cool, hot)) assertContains(normalized(each.finalText()), "a quarter past 9")
        }
    }

    @Test
    fun `heat is followed while a session runs, and forgotten with the last one`() = waiting {
        engine.loadSpeech(Fixtures.model).use { recognizer ->
            assertNull(engine.adapted())
            val session = recognizer.startSession(adaptive)
            val other = recognizer.startSession(adaptive)
            val first = assertNotNull(engine.adapted())
            assertEquals("start", first.why)
            assertEquals(GovernedSetting(threads = 2, tier = 0, stepSeconds = 1.1), first.setting)
            engine.push(DeviceReading(thermal = ThermalState.Critical))
            // Five seconds of calm come first.
            val eased = changed(first)
            assertEquals("heat", eased.why)
            assertTrue(eased.setting.stepSeconds > 1.1 || eased.setting.threads < 2, "$eased")
            session.close()
            assertNotNull(engine.adapted())
            other.close()
            while (engine.adapted() != null) delay(10)
        }
    }

    @Test
    fun `sessions that do not adapt are left alone`() = waiting {
        engine.push(DeviceReading(thermal = ThermalState.Critical))
        engine.loadSpeech(Fixtures.model).use { recognizer ->
            recognizer.startSession().use { assertNull(engine.adapted()) }
        }
    }

    private suspend fun changed(from: GovernorDecision): GovernorDecision {
        while (true) {
            engine.push(DeviceReading(thermal = ThermalState.Critical))
            val now = assertNotNull(engine.adapted())
            if (now.setting != from.setting) return now
            delay(100)
        }
    }

    private fun List<SpeechEvent>.volatile() = filterIsInstance<SpeechEvent.Volatile>().size

    private fun List<SpeechEvent>.finalText() =
        filterIsInstance<SpeechEvent.Final>().joinToString("") { it.text.text }
}

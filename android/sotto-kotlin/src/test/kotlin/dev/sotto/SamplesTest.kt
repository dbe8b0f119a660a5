package dev.sotto

import dev.sotto.samples.adaptiveSession
import dev.sotto.samples.errors
import dev.sotto.samples.findSpeech
import dev.sotto.samples.liveCaptions
import dev.sotto.samples.liveSession
import dev.sotto.samples.loadWithProgress
import dev.sotto.samples.modelState
import dev.sotto.samples.options
import dev.sotto.samples.ownEngine
import dev.sotto.samples.profile
import dev.sotto.samples.store
import dev.sotto.samples.subtitles
import dev.sotto.samples.transcribeFile
import dev.sotto.samples.transcribeWithProgress
import org.junit.jupiter.api.Test
import java.io.File
import java.util.concurrent.CopyOnWriteArrayList
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertTrue

/** The samples of the documentation do what they say. */
class SamplesTest {
    private val model = Fixtures.modelFile
    private val recording = Fixtures.demoFile
    private val recognizer = Fixtures.recognizer

    @Test
    fun `a file is transcribed`() = waiting {
        assertEquals(Fixtures.WORDS, normalized(transcribeFile(model, recording)))
    }

    @Test
    fun `captions of live audio`() = waiting {
        assertContains(normalized(liveCaptions(recognizer, Fixtures.chunks(Fixtures.samples))), "a quarter past 9")
    }

    @Test
    fun `a session that adapts to its device`() = waiting {
        Sotto(SottoSettings(threads = 2)).use { engine ->
            engine.loadSpeech(Fixtures.model).use { own ->
                val text = adaptiveSession(engine, own, Fixtures.chunks(Fixtures.samples))
                assertContains(normalized(text), "a quarter past 9")
            }
        }
    }

    @Test
    fun `a session by hand`() = waiting {
        assertContains(normalized(liveSession(recognizer, Fixtures.samples)), "a quarter past 9")
    }

    @Test
    fun `segments come with their progress`() = waiting {
        assertEquals(3, transcribeWithProgress(recognizer, recording).size)
    }

    @Test
    fun `an engine of one's own counts its memory`() = waiting { assertTrue(ownEngine(model) > 0) }

    @Test
    fun `a model is loaded with progress`() = waiting {
        loadWithProgress(Fixtures.engine, model).use { assertTrue(it.info().windowSeconds == 30.0) }
    }

    @Test
    fun `the state of a model is drawn`() = waiting {
        val drawn = CopyOnWriteArrayList<String>()
        val text = modelState(Fixtures.engine, model, recording) { drawn += it }
        assertEquals(Fixtures.WORDS, normalized(text))
        assertContains(drawn, "ready")
    }

    @Test
    fun `speech is found`() = waiting { assertTrue(findSpeech(Fixtures.engine, recording) in 3.0..9.0) }

    @Test
    fun `options give words and times`() = waiting { assertContains(options(recognizer, recording), "umbrella") }

    @Test
    fun `subtitles are written`() = waiting { assertContains(subtitles(recognizer, recording), "-->") }

    @Test
    fun `a store takes a model in`() = waiting {
        assertEquals("loaded", store(Fixtures.engine, Fixtures.folder(), model))
    }

    @Test
    fun `a model is profiled`() = waiting {
        // An engine of its own: a profile unloads the model to load it again.
        val report = Sotto(SottoSettings(threads = 2)).use { profile(it, model, recording) }
        assertEquals(ProfileValidity.Invalid, report.validity)
        assertTrue(report.reasons.isNotEmpty())
        assertContains(report.page(), "<html")
    }

    @Test
    fun `errors say what to do`() = waiting {
        assertContains(errors(File("/nowhere/model.sotto")), "fetch the model again")
        assertEquals("loaded", errors(model))
    }
}

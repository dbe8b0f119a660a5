package dev.sotto

import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.onEach
import kotlinx.coroutines.launch
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Test
import java.io.File
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.test.assertSame
import kotlin.test.assertTrue

/** What a model that comes and goes says of itself. */
class ModelStateTest {
    private val engine = Sotto(SottoSettings(threads = 1, memoryLimit = 500_000_000))
    private val model = engine.speechModel(Fixtures.model)

    @AfterEach
    fun close() {
        model.close()
        engine.close()
    }

    @Test
    fun `not loaded, loading with progress, ready`() = waiting {
        assertEquals(ModelState.NotLoaded, model.state.value)
        val source = Gate(Fixtures.modelFile)
        val slow = engine.speechModel(source.source)
        // It watches from the start, and the load waits until it has seen that there is one.
        val watching = async(start = CoroutineStart.UNDISPATCHED) {
            val seen = mutableListOf<ModelState>()
            slow.state.onEach {
                seen += it
                if (it is ModelState.Loading) source.open()
            }.first { it == ModelState.Ready }
            seen
        }
        val recognizer = slow.load()
        val seen = watching.await()
        assertTrue(recognizer.isLoaded)
        assertEquals(ModelState.NotLoaded, seen.first())
        assertEquals(ModelState.Ready, seen.last())
        assertTrue(seen.size > 2 && seen.subList(1, seen.size - 1).all { it is ModelState.Loading }, "$seen")
        slow.close()
    }

    @Test
    fun `all who ask get the same model`() = waiting {
        val recognizers = List(8) { async { model.load() } }.awaitAll()
        recognizers.forEach { assertSame(recognizers[0], it) }
        assertEquals(1, engine.models().single().handles)
    }

    @Test
    fun `memory that the system takes is told, and load brings it back`() = waiting {
        val first = model.load()
        engine.trim(TrimLevel.Idle)
        assertEquals(ModelState.Unloaded, model.state.value)
        val second = model.load()
        assertTrue(first !== second && second.isLoaded)
        assertEquals(ModelState.Ready, model.state.value)
        model.unload()
        assertEquals(ModelState.Unloaded, model.state.value)
        assertFailsWith<SpeechException.Unloaded> { second.info() }
        model.unload()
    }

    @Test
    fun `a recognizer that someone closed or unloaded is loaded again`() = waiting {
        model.load().close()
        assertTrue(model.load().isLoaded)
        model.load().unload()
        assertTrue(model.load().isLoaded)
    }

    @Test
    fun `profiling unloads, and the state says so`() = waiting {
        val path = engine.speechModel(Fixtures.model)
        path.load()
        val clips = listOf(ProfileClip("silence", AudioSource.samples(Fixtures.silence)))
        val options = ProfileOptions("starter", "desk", "Linux", warmRuns = 1, laterLoads = 1, sustainedSeconds = 0.1)
        engine.profileSpeech(Fixtures.model, clips, options).use { it.report() }
        assertEquals(path.load().isLoaded, path.state.value == ModelState.Ready)
        path.close()
    }

    @Test
    fun `what cannot be loaded says why, and may be tried again`() = waiting {
        val file = Fixtures.folder().resolve("model.sotto")
        val late = engine.speechModel(ModelSource.file(file))
        val failure = assertFailsWith<SpeechException.InvalidModel> { late.load() }
        val state = assertIs<ModelState.Failed>(late.state.value)
        assertEquals(failure.reason, state.problem.reason)
        Fixtures.modelFile.copyTo(file)
        assertTrue(late.load().isLoaded)
        assertEquals(ModelState.Ready, late.state.value)
        late.close()
    }

    @Test
    fun `who is cancelled stops loading, and nothing is left over`() = waiting {
        val gate = Gate(Fixtures.modelFile)
        val slow = engine.speechModel(gate.source)
        val loading = launch { slow.load() }
        slow.state.first { it is ModelState.Loading }
        val waiting = async { slow.load() }
        loading.cancel()
        gate.open()
        loading.join()
        // Who waited for it begins again.
        assertTrue(waiting.await().isLoaded)
        assertEquals(ModelState.Ready, slow.state.value)
        slow.close()
        assertTrue(engine.models().all { it.handles == 0 })
    }

    @Test
    fun `unloaded while it is loaded`() = waiting {
        val gate = Gate(Fixtures.modelFile)
        val slow = engine.speechModel(gate.source)
        val loading = async { runCatching { slow.load() } }
        slow.state.first { it is ModelState.Loading }
        slow.unload()
        gate.open()
        assertIs<SpeechException.Cancelled>(loading.await().exceptionOrNull())
        assertEquals(ModelState.NotLoaded, slow.state.value)
        assertTrue(engine.models().all { it.handles == 0 })
        assertTrue(slow.load().isLoaded)
        slow.close()
    }

    @Test
    fun `closing one leaves the model to others, unloading does not`() = waiting {
        val other = engine.speechModel(Fixtures.model)
        val recognizer = other.load()
        model.load()
        model.close()
        assertTrue(recognizer.isLoaded)
        assertEquals(ModelState.Ready, other.state.value)
        val third = engine.speechModel(Fixtures.model)
        third.load()
        third.unload()
        assertTrue(!recognizer.isLoaded)
        assertEquals(ModelState.Unloaded, other.state.value)
        third.close()
        other.close()
    }

    @Test
    fun `a closed one loads nothing any more`() = waiting {
        model.load()
        model.close()
        model.close()
        assertFailsWith<SpeechException.Ended> { model.load() }
        assertEquals(ModelState.Unloaded, model.state.value)
        assertTrue(engine.models().all { it.handles == 0 })
    }

    @Test
    fun `futures for Java`() {
        assertTrue(model.loadAsync().get().isLoaded)
        val missing = engine.speechModel(ModelSource.file(File("/nowhere")))
        assertFailsWith<Exception> { missing.loadAsync().get() }
        assertIs<ModelState.Failed>(missing.state.value)
    }

    /** A model that is not there before its gate is open. */
    private class Gate(file: File) {
        private val opener = Fixtures.opener(file)
        private val latch = java.util.concurrent.CountDownLatch(1)

        val source = ModelSource.descriptor("a model behind a gate") {
            latch.await()
            opener.open()
        }

        fun open() = latch.countDown()
    }
}

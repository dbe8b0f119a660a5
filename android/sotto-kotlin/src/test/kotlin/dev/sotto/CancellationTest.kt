package dev.sotto

import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Job
import kotlinx.coroutines.awaitCancellation
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.withTimeoutOrNull
import org.junit.jupiter.api.Test
import java.util.concurrent.atomic.AtomicReference
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.test.assertNotNull
import kotlin.test.assertNull
import kotlin.test.assertTrue

/** Who stops waiting stops the work; who closes something stops what waits for it. */
class CancellationTest {
    private val recognizer = Fixtures.recognizer
    private val long = (1..30).fold(ShortArray(0)) { all, _ -> all + Fixtures.samples }

    /** Waits until nothing computes any longer; the test's own limit ends it otherwise. */
    private suspend fun untilIdle(engine: Sotto) {
        while (engine.models().any { it.running > 0 }) delay(1)
    }

    @Test
    fun `a coroutine that is cancelled stops the transcription`() = waiting {
        Sotto(SottoSettings(threads = 1)).use { engine ->
            engine.loadSpeech(Fixtures.model).use { recognizer ->
                val started = CompletableDeferred<Unit>()
                val ended = AtomicReference<Throwable>()
                val job = launch {
                    try {
                        recognizer.transcription(AudioSource.samples(long)).collect { started.complete(Unit) }
                    } catch (failure: CancellationException) {
                        ended.set(failure)
                        throw failure
                    }
                }
                started.await()
                job.cancelAndJoin()
                assertNotNull(ended.get())
                untilIdle(engine)
            }
        }
    }

    @Test
    fun `taking the first events stops the rest`() = waiting {
        Sotto(SottoSettings(threads = 1)).use { engine ->
            engine.loadSpeech(Fixtures.model).use { recognizer ->
                recognizer.transcription(AudioSource.samples(long)).first { it is TranscriptionEvent.Recognized }
                untilIdle(engine)
            }
        }
    }

    @Test
    fun `a time limit ends a transcription`() = waiting {
        assertNull(withTimeoutOrNull(50) { recognizer.transcribe(AudioSource.samples(long)) })
        assertContains(recognizer.transcribe(Fixtures.demo).text, "airport")
    }

    @Test
    fun `loading is cancelled and leaves nothing`() = waiting {
        Sotto(SottoSettings(threads = 1)).use { engine ->
            repeat(20) { round ->
                val job = launch { engine.loadSpeech(Fixtures.model).close() }
                delay(round.toLong())
                job.cancelAndJoin()
            }
            untilIdle(engine)
            while (engine.memory().used > 0) {
                // A model that became ready just then is given back by the job or by the cleaner.
                System.gc()
                delay(5)
            }
        }
    }

    @Test
    fun `a wait that is cancelled loses no event`() = waiting {
        recognizer.startSession().use { session ->
            repeat(50) { assertNull(withTimeoutOrNull(1) { session.nextEvent() }) }
            session.push(Fixtures.samples)
            session.finish()
            val text = session.events().toList().filterIsInstance<SpeechEvent.Final>().joinToString("") { it.text.text }
            assertContains(normalized(text), "the train to the airport leaves at a quarter past 9")
        }
    }

    @Test
    fun `no longer collecting a stream stops audio and session`() = waiting {
        val stopped = CompletableDeferred<Unit>()
        val endless = flow {
            try {
                emit(PcmChunk(Fixtures.samples))
                awaitCancellation()
            } finally {
                stopped.complete(Unit)
            }
        }
        assertEquals(1, recognizer.stream(endless).take(1).toList().size)
        stopped.await()
    }

    @Test
    fun `closing a session wakes who waits`() = waiting {
        for (end in listOf<SpeechSession.() -> Unit>({ close() }, { cancel() })) {
            recognizer.startSession().use { session ->
                val failure = CompletableDeferred<Throwable?>()
                // It waits already when launch returns.
                launch(start = CoroutineStart.UNDISPATCHED) {
                    failure.complete(runCatching { session.nextEvent() }.exceptionOrNull())
                }
                session.end()
                assertIs<SpeechException.Cancelled>(failure.await())
            }
        }
    }

    @Test
    fun `closing a session while it decodes ends its events`() = waiting {
        Sotto(SottoSettings(threads = 1)).use { engine ->
            engine.loadSpeech(Fixtures.model).use { recognizer ->
                val session = recognizer.startSession()
                session.push(Fixtures.samples)
                session.nextEvent()
                session.close()
                untilIdle(engine)
            }
        }
    }

    @Test
    fun `closing the recognizer lets work under way end`() = waiting {
        Sotto(SottoSettings(threads = 1)).use { engine ->
            val recognizer = engine.loadSpeech(Fixtures.model)
            val text = CompletableDeferred<String>()
            launch { text.complete(recognizer.transcribe(Fixtures.demo).text) }
            while (engine.models().none { it.running > 0 } && !text.isCompleted) delay(1)
            recognizer.close()
            engine.close()
            assertContains(text.await(), "airport")
        }
    }

    @Test
    fun `closing the engine cancels futures`() = waiting {
        val engine = Sotto(SottoSettings(threads = 1))
        val recognizer = engine.loadSpeech(Fixtures.model)
        val future = recognizer.transcribeAsync(AudioSource.samples(long))
        engine.close()
        assertFailsWith<java.util.concurrent.CancellationException> { future.join() }
        recognizer.close()
    }

    @Test
    fun `a parent that is cancelled takes its transcriptions along`() = waiting {
        val parent = Job()
        val children = List(4) { launch(parent) { recognizer.transcribe(AudioSource.samples(long)) } }
        delay(30)
        parent.cancel()
        children.forEach { it.join() }
        assertTrue(children.all { it.isCancelled })
    }
}

package dev.sotto

import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.filterIsInstance
import kotlinx.coroutines.flow.fold
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.yield
import org.junit.jupiter.api.Test
import java.lang.management.ManagementFactory
import kotlin.random.Random
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.minutes
import kotlin.time.Duration.Companion.seconds

/** Many of everything: sessions at once, objects one after the other, calls at random moments. */
class ManyTest {
    private val recognizer = Fixtures.recognizer

    @Test
    fun `sixteen sessions at once hear the same`() = waiting(5.minutes) {
        // Two seconds each, so that the test is about sessions and not about the processor.
        val samples = Fixtures.samples.copyOf(32_000)
        val texts = coroutineScope {
            List(16) { number ->
                async {
                    recognizer.stream(Fixtures.chunks(samples, size = 160 + 97 * number))
                        .filterIsInstance<SpeechEvent.Final>()
                        .fold("") { text, event -> text + event.text.text }
                }
            }.awaitAll()
        }
        assertEquals(1, texts.toSet().size, "$texts")
        assertContains(normalized(texts[0]), "good morning")
    }

    @Test
    fun `ten thousand objects leave nothing behind`() = waiting(5.minutes) {
        suspend fun round(closing: Boolean) {
            val session = recognizer.startSession()
            session.push(ShortArray(160))
            if (closing) session.close() else session.cancel()
        }
        suspend fun rounds(): Long {
            repeat(4_500) { round(closing = true) }
            // Left to the garbage collector, as careless code does.
            repeat(500) { number ->
                round(closing = false)
                if (number % 100 == 0) collectGarbage()
            }
            collectGarbage()
            return residentBytes()
        }
        // The first half brings heap, code and pools to their size; the second half must find room in it.
        val first = rounds()
        val second = rounds()
        println("resident bytes after 5,000 sessions $first, after 10,000 $second")
        assertTrue(second - first < 32_000_000, "grew by ${second - first} bytes")
    }

    @Test
    fun `garbage collection under load changes nothing`() = waiting {
        val churn = launch(Dispatchers.IO) {
            while (true) {
                List(2_000) { ByteArray(1024) }
                System.gc()
                yield()
            }
        }
        val text = recognizer.stream(Fixtures.chunks(Fixtures.samples)).filterIsInstance<SpeechEvent.Final>()
            .fold("") { text, event -> text + event.text.text }
        churn.cancel()
        assertContains(normalized(text), "the train to the airport leaves at a quarter past 9")
    }

    @Test
    fun `objects that nobody closes are freed`() = waiting {
        Sotto(SottoSettings(threads = 1)).use { engine ->
            loadAndForget(engine)
            while (engine.memory().used > 0) {
                collectGarbage()
                delay(10)
            }
        }
    }

    private suspend fun loadAndForget(engine: Sotto) {
        engine.loadSpeech(Fixtures.model).info()
    }

    @Test
    fun `start, push, close, cancel and trim at random moments`() = waiting(5.minutes + ROUNDS.seconds / 2) {
        Sotto(SottoSettings(threads = 2, memoryLimit = 600_000_000)).use { engine ->
            suspend fun rounds(seed: Int): Held {
                coroutineScope {
                    repeat(WORKERS) { worker ->
                        val random = Random(seed + worker)
                        launch(Dispatchers.Default) { Rounds(engine, random).run(ROUNDS / WORKERS / 2) }
                    }
                }
                collectGarbage()
                return Held.now()
            }
            val first = rounds(0)
            val second = rounds(WORKERS)
            println("after half of $ROUNDS rounds $first, after all $second")
            // Classes that are made anew for every call would be seen here, and so would compiled code.
            assertTrue(second.classes - first.classes < 4_000_000, "$first, then $second")
            assertTrue(second.code - first.code < 8_000_000, "$first, then $second")
            assertTrue(second.resident - first.resident < 100_000_000, "$first, then $second")
            while (engine.models().any { it.running > 0 || it.handles > 0 }) {
                collectGarbage()
                delay(10)
            }
            // It all still works.
            engine.loadSpeech(Fixtures.model).use { assertContains(it.transcribe(Fixtures.demo).text, "airport") }
        }
    }

    private class Rounds(private val engine: Sotto, private val random: Random) {
        suspend fun run(rounds: Int) = repeat(rounds) {
            try {
                round()
            } catch (expected: SpeechException) {
                assertTrue(
                    expected is SpeechException.Ended || expected is SpeechException.Unloaded ||
                        expected is SpeechException.Cancelled || expected is SpeechException.OutOfBudget ||
                        expected is SpeechException.Behind,
                    "$expected",
                )
            } catch (_: CancellationException) {
            }
        }

        private suspend fun round() = coroutineScope {
            val recognizer = engine.loadSpeech(Fixtures.model)
            val session = recognizer.startSession()
            val reader = launch {
                try {
                    session.events().collect { if (random.nextInt(3) == 0) session.cancel() }
                } catch (_: SpeechException) {
                    // Whatever else happens in this round.
                }
            }
            repeat(random.nextInt(12)) { step(recognizer, session) }
            session.close()
            reader.join()
            recognizer.close()
        }

        private suspend fun step(recognizer: SpeechRecognizer, session: SpeechSession) {
            when (random.nextInt(9)) {
                0 -> session.close()
                1 -> session.cancel()
                2 -> session.finish()
                3 -> engine.trim(TrimLevel.entries[random.nextInt(3)])
                4 -> recognizer.close()
                5 -> if (random.nextInt(4) == 0) recognizer.unload()
                6 -> delay(random.nextLong(3))
                7 -> System.gc().takeIf { random.nextInt(20) == 0 }
                else -> session.push(Fixtures.samples, random.nextInt(1000), 320 + random.nextInt(20_000))
            }
        }
    }

    @Test
    fun `events of sessions whose audio never ends do not pile up`() = waiting {
        val pieces = List(3) { Fixtures.samples }.reduce { all, more -> all + more }
        val events = recognizer.stream(Fixtures.chunks(pieces, 3_200)).toList()
        assertTrue(events.count { it is SpeechEvent.Volatile } < pieces.size / 3_200)
    }

    /**
     * Bytes that the virtual machine holds for classes and for compiled code, and all that this process has in memory.
     */
    private data class Held(val classes: Long, val code: Long, val resident: Long) {
        companion object {
            fun now(): Held {
                val pools = ManagementFactory.getMemoryPoolMXBeans()
                // One pool of code with the quick compiler, three without.
                fun used(name: String) = pools.filter { name in it.name }.sumOf { it.usage.used }
                return Held(used("Metaspace"), used("Code"), residentBytes())
            }
        }
    }

    private companion object {
        const val WORKERS = 4
        val ROUNDS = (System.getProperty("sotto.rounds") ?: System.getenv("SOTTO_ROUNDS") ?: "300").toInt()
    }
}

package dev.sotto

import dev.sotto.internal.DirectPush
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.filterIsInstance
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import org.junit.jupiter.api.Test
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue

/** Samples by every kind of buffer and array: what is heard does not depend on it. */
class PushTest {
    // "Good morning", two seconds.
    private val bytes = Fixtures.bytes(Fixtures.samples.copyOf(32_000))

    @Test
    fun `the quick way is there on this machine`() = assertTrue(DirectPush.isThere)

    @Test
    fun `every kind of buffer says the same, and is read to its limit`() = waiting {
        val expected = heard { session -> session.push(bytes) }
        assertContains(normalized(expected), "good morning")
        val noise = ByteArray(50) { 0x55 }
        val framed = direct(noise + bytes + noise)
        val kinds = mapOf(
            "direct" to direct(bytes),
            "heap" to ByteBuffer.wrap(bytes),
            "direct, read only" to direct(bytes).asReadOnlyBuffer(),
            "heap, read only" to ByteBuffer.wrap(bytes).asReadOnlyBuffer(),
            "heap with an offset" to ByteBuffer.wrap(noise + bytes + noise, noise.size, bytes.size),
            "heap, sliced" to ByteBuffer.wrap(noise + bytes + noise, noise.size, bytes.size).slice(),
            "direct between position and limit" to inside(framed.duplicate(), noise.size),
            "direct, sliced" to inside(framed.duplicate(), noise.size).slice(),
            "slice of a slice" to inside(inside(framed.duplicate(), 10).slice(), noise.size - 10).slice(),
            "big-endian by its order" to direct(bytes).order(ByteOrder.BIG_ENDIAN),
        )
        for ((kind, buffer) in kinds) {
            val (limit, order) = buffer.limit() to buffer.order()
            assertEquals(expected, heard { it.push(buffer) }, kind)
            assertEquals(limit to limit, buffer.position() to buffer.limit(), kind)
            assertEquals(order, buffer.order(), kind)
        }
    }

    @Test
    fun `pieces of odd lengths, and empty ones, make whole samples`() = waiting {
        val expected = heard { it.push(bytes) }
        val cut = heard { session ->
            val buffer = direct(bytes)
            var length = 0
            while (buffer.hasRemaining() || length == 0) {
                val piece = buffer.duplicate().apply { limit(minOf(position() + length, capacity())) }
                session.push(piece)
                buffer.position(piece.position())
                length = (length * 7 + 1) % 1_237
            }
            session.push(ByteBuffer.allocateDirect(0))
            session.push(ByteBuffer.allocate(0))
            session.push(ByteArray(0))
            session.push(ShortArray(0))
        }
        assertEquals(expected, cut)
    }

    @Test
    fun `a refused piece stays where it is, whichever way it takes`() {
        for (buffer in listOf(direct(bytes), ByteBuffer.wrap(bytes))) {
            Fixtures.recognizer.startSession().use { session ->
                session.finish()
                buffer.position(100)
                assertFailsWith<SpeechException.Ended> { session.push(buffer) }
                assertEquals(100, buffer.position())
            }
        }
    }

    @Test
    fun `too much is refused with its reason, and a closed session with its own`() {
        val minute = ByteBuffer.allocateDirect(16_000 * 2 * 60)
        Fixtures.recognizer.startSession().use { session ->
            assertFailsWith<SpeechException.Behind> {
                repeat(20) { session.push(minute.duplicate()) }
            }
            session.cancel()
            assertFailsWith<SpeechException.Cancelled> {
                repeat(1_000) {
                    session.push(minute.duplicate().limit(2))
                    Thread.sleep(5)
                }
            }
            session.close()
            assertFailsWith<SpeechException.Ended> { session.push(minute) }
        }
    }

    @Test
    fun `sessions are closed while several threads push into them`() = waiting {
        repeat(100) { number ->
            val session = Fixtures.recognizer.startSession()
            coroutineScope {
                repeat(2) {
                    launch(Dispatchers.IO) {
                        val buffer = ByteBuffer.allocateDirect(640)
                        assertFailsWith<SpeechException> { while (true) session.push(buffer.clear()) }
                    }
                }
                launch(Dispatchers.IO) {
                    Thread.sleep(number % 3L)
                    session.close()
                }
            }
        }
    }

    private suspend fun heard(push: (SpeechSession) -> Unit): String =
        Fixtures.recognizer.startSession().use { session ->
            push(session)
            session.finish()
            session.events().filterIsInstance<SpeechEvent.Final>().toList().joinToString("") { it.text.text }
        }

    private fun direct(bytes: ByteArray): ByteBuffer = ByteBuffer.allocateDirect(bytes.size).put(bytes).flip()

    private fun inside(buffer: ByteBuffer, border: Int): ByteBuffer =
        buffer.position(border).limit(buffer.limit() - border)
}

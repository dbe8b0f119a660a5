package dev.sotto

import org.junit.jupiter.api.Test
import java.nio.ByteBuffer
import kotlin.test.assertTrue

/**
 * What the way into native code costs. Prints figures; asserts only what no busy machine breaks. The figures of
 * docs/PERFORMANCE.md come from `mvn -pl sotto-kotlin -am test -Dtest=OverheadTest -Dtest.jvm.args=` on a quiet one.
 */
class OverheadTest {
    @Test
    fun `pushing twenty milliseconds`() {
        val shorts = measured { session -> { session.push(ShortArray(320)) } }
        val direct = measured { session ->
            val buffer = ByteBuffer.allocateDirect(640);
            { buffer.clear(); session.push(buffer) }
        }
        println("push of 20 ms: shorts $shorts, direct buffer $direct")
        assertTrue(shorts.median > 0 && direct.median > 0)
    }

    @Test
    fun `an event reaches its reader`() = waiting {
        // A finished, empty session has its last event ready: what is left is the way out.
        val times = LongArray(300) {
            Fixtures.recognizer.startSession().use { session ->
                session.finish()
                val started = System.nanoTime()
                session.nextEvent()
                System.nanoTime() - started
            }
        }
        println("end of an empty session: ${Figures(times)}")
    }

    private fun measured(push: (SpeechSession) -> () -> Unit): Figures {
        val times = ArrayList<Long>()
        repeat(6) {
            // Sessions are short, so that none is behind.
            Fixtures.recognizer.startSession().use { session ->
                val once = push(session)
                repeat(1_000) {
                    val started = System.nanoTime()
                    once()
                    times += System.nanoTime() - started
                }
            }
        }
        // The first third warms code and buffers up.
        return Figures(times.drop(times.size / 3).toLongArray())
    }

    private class Figures(nanoseconds: LongArray) {
        private val sorted = nanoseconds.sortedArray()
        val median = sorted[sorted.size / 2] / 1000.0
        private val late = sorted[sorted.size * 99 / 100] / 1000.0

        override fun toString() = "median %.1f µs, p99 %.1f µs".format(median, late)
    }
}

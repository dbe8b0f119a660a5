package dev.sotto.internal

import java.nio.ByteBuffer
import java.nio.ByteOrder

/**
 * Memory that native code can read, filled anew for every piece of audio. Pieces of any length are handed over whole,
 * so that a piece which is refused is refused as a whole. One thread at a time.
 */
internal class PcmBuffer {
    private var kept: ByteBuffer = direct(4 * 1024)

    /** A buffer of that many bytes. */
    fun of(bytes: Int): ByteBuffer {
        val buffer = when {
            bytes <= kept.capacity() -> kept
            bytes > MOST_KEPT -> return direct(bytes)
            else -> direct(Integer.highestOneBit(bytes) * 2).also { kept = it }
        }
        buffer.clear()
        buffer.limit(bytes)
        return buffer
    }

    private fun direct(bytes: Int): ByteBuffer = ByteBuffer.allocateDirect(bytes).order(ByteOrder.LITTLE_ENDIAN)

    private companion object {
        // A second of 48 kHz stereo; larger pieces are rare and take memory of their own.
        const val MOST_KEPT = 192 * 1024
    }
}

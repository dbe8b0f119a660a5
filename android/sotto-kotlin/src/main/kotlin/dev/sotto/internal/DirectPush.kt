package dev.sotto.internal

import com.sun.jna.Native
import java.nio.ByteBuffer

/**
 * The way into native code that a microphone takes fifty times a second: one call with plain arguments. UniFFI's takes
 * two, makes four structures for them, and is fifty times slower; it remains for everything else, for what this one
 * refuses, and where this one is missing.
 *
 * Sessions are named by numbers, so nothing is kept alive here: one that is gone refuses.
 */
internal object DirectPush {
    private const val TAKEN = 0

    /** Whether the library has this way. Without it everything works, only slower. */
    val isThere: Boolean = register()

    /**
     * Hands over the bytes of a direct buffer from its first one to its limit; whatever its position is. `false` where
     * nothing was taken: UniFFI's call then says why.
     */
    fun push(session: Long, pcm: ByteBuffer): Boolean =
        isThere && sotto_ffi_push_pcm(session, pcm, pcm.limit()) == TAKEN

    private fun register(): Boolean = try {
        Native.register(DirectPush::class.java, NativeLibrary.location)
        true
    } catch (_: LinkageError) {
        // A library of a system without this function.
        false
    } catch (_: IllegalArgumentException) {
        // JNA refuses the types.
        false
    }

    @JvmStatic
    @Suppress("FunctionName") // JNA binds by the name.
    private external fun sotto_ffi_push_pcm(session: Long, pcm: ByteBuffer, length: Int): Int
}

package dev.sotto

import dev.sotto.internal.DirectPush
import dev.sotto.internal.PcmBuffer
import dev.sotto.internal.event
import dev.sotto.internal.speech
import dev.sotto.internal.speechSuspending
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.future.future
import java.nio.ByteBuffer
import java.util.concurrent.CompletableFuture
import java.util.concurrent.atomic.AtomicBoolean
import dev.sotto.ffi.SpeechSession as NativeSession

/**
 * A live transcription: samples go in from any thread, text comes out.
 *
 * Every function may be called from any thread. [push] copies and returns, so it is safe on an audio thread; up to five
 * minutes of audio wait to be decoded. Work happens on a thread of the engine. [close] stops it within one token and
 * waits for nothing. For a `Flow` of audio [SpeechRecognizer.stream] does all of this.
 *
 * @property format what the samples must be
 * @sample dev.sotto.samples.liveSession
 */
public class SpeechSession internal constructor(
    private val native: NativeSession,
    public val format: PcmFormat,
    private val scope: CoroutineScope,
) : AutoCloseable {
    private val number = native.number().toLong()
    private val buffer = PcmBuffer()
    private val closed = AtomicBoolean()

    /**
     * Hands over bytes of samples in the [format] of the session. A piece may end anywhere, even inside a sample.
     *
     * @throws SpeechException.Behind when too much waits: nothing was taken, push it again when events have come
     * @throws SpeechException.Ended after [finish] or [close]
     */
    @JvmOverloads
    @Throws(SpeechException::class)
    public fun push(pcm: ByteArray, offset: Int = 0, length: Int = pcm.size - offset) {
        checkRange(offset, length, pcm.size)
        send(length) { it.put(pcm, offset, length) }
    }

    /**
     * Hands over bytes of samples, from the buffer's position to its limit, and moves the position there. A direct
     * buffer is read where it lies.
     */
    @Throws(SpeechException::class)
    public fun push(pcm: ByteBuffer) {
        if (pcm.isDirect) {
            val bytes = pcm.slice()
            synchronized(buffer) { give(bytes) }
            pcm.position(pcm.limit())
        } else {
            // A refused piece stays where it is.
            send(pcm.remaining()) { it.put(pcm.duplicate()) }
            pcm.position(pcm.limit())
        }
    }

    /** Hands over samples of 16 bit. The session must have been started for them. */
    @JvmOverloads
    @Throws(SpeechException::class)
    public fun push(samples: ShortArray, offset: Int = 0, length: Int = samples.size - offset) {
        checkRange(offset, length, samples.size)
        checkEncoding(SampleEncoding.Signed16)
        send(2 * length) { it.asShortBuffer().put(samples, offset, length) }
    }

    /** Hands over samples between -1 and 1. The session must have been started for them. */
    @JvmOverloads
    @Throws(SpeechException::class)
    public fun push(samples: FloatArray, offset: Int = 0, length: Int = samples.size - offset) {
        checkRange(offset, length, samples.size)
        checkEncoding(SampleEncoding.Float32)
        send(4 * length) { it.asFloatBuffer().put(samples, offset, length) }
    }

    /** Says that no more samples come: what waits becomes final, then the events end. Returns at once. */
    @Throws(SpeechException::class)
    public fun finish(): Unit = native { finish() }

    /**
     * Stops within one token and throws away what waits. Returns at once. Events then end with
     * [SpeechException.Cancelled].
     */
    @Throws(SpeechException::class)
    public fun cancel(): Unit = native { cancel() }

    /**
     * The next event; `null` after the last one of a finished session. A wait that is cancelled loses no event.
     * Volatile text that was replaced before anyone asked is left out.
     */
    public suspend fun nextEvent(): SpeechEvent? =
        speechSuspending(NAME) { native.nextEvent()?.event() }

    /**
     * The events until the session ends. Of several collectors each gets some of the events. Not collecting any longer
     * does not end the session: [close] does.
     */
    public fun events(): Flow<SpeechEvent> = flow { while (true) emit(nextEvent() ?: break) }

    /** [nextEvent] for Java. Cancelling the future loses no event. */
    public fun nextEventAsync(): CompletableFuture<SpeechEvent?> = scope.future { nextEvent() }

    /** Stops the session and lets go of it. Returns at once; may be called again. */
    override fun close() {
        if (!closed.compareAndSet(false, true)) return
        native.cancel()
        native.close()
    }

    private inline fun send(bytes: Int, fill: (ByteBuffer) -> Unit) {
        synchronized(buffer) {
            val direct = buffer.of(bytes)
            fill(direct)
            // The view that was written to has a position of its own; this one must start at the first byte.
            direct.position(0)
            give(direct)
        }
    }

    /** Hands over a direct buffer from its first byte to its limit. */
    private fun give(direct: ByteBuffer) {
        if (DirectPush.push(number, direct)) return
        // Refused. This way says why; where the reason has gone meanwhile, the piece is taken.
        native { pushPcm(direct) }
    }

    private inline fun <T> native(call: NativeSession.() -> T): T = speech(NAME) { native.call() }

    private fun checkEncoding(pushed: SampleEncoding) {
        if (format.encoding == pushed) return
        throw SpeechException.InvalidAudio(
            "samples of $pushed were pushed into a session for ${format.encoding}",
            "start the session with PcmFormat($pushed), or push the other kind",
        )
    }

    private fun checkRange(offset: Int, length: Int, size: Int) {
        if (offset >= 0 && length >= 0 && length <= size - offset) return
        throw SpeechException.InvalidAudio(
            "$length from $offset on is outside an array of $size",
            "give an offset and a length that lie inside the array",
        )
    }

    private companion object {
        const val NAME = "the session"
    }
}

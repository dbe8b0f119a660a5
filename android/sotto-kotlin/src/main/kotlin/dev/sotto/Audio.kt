package dev.sotto

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

/** How a sample is written. */
public enum class SampleEncoding(internal val bytes: Int) {
    /** Two bytes, little-endian: what `AudioRecord` gives by default. */
    Signed16(2),

    /** Four bytes, little-endian, -1 to 1. */
    Float32(4),
}

/**
 * Format of raw samples. Any rate and number of channels is taken; 16 kHz mono costs no conversion.
 *
 * @property encoding how a sample is written
 * @property rate samples per second and channel
 * @property channels interleaved channels; they are mixed
 */
public data class PcmFormat @JvmOverloads constructor(
    public val encoding: SampleEncoding = SampleEncoding.Signed16,
    public val rate: Int = 16_000,
    public val channels: Int = 1,
)

/**
 * A piece of raw audio for [SpeechRecognizer.stream]. It holds the array that it was made of: do not write into that
 * afterwards.
 *
 * @property size samples, all channels together
 */
public class PcmChunk private constructor(private val array: Any, public val size: Int) {
    /** Samples of 16 bit, the first [size] of an array. */
    @JvmOverloads
    public constructor(samples: ShortArray, size: Int = samples.size) :
        this(samples as Any, checked(size, samples.size))

    /** Samples between -1 and 1, the first [size] of an array. */
    @JvmOverloads
    public constructor(samples: FloatArray, size: Int = samples.size) :
        this(samples as Any, checked(size, samples.size))

    /** The samples, or `null` where they are of another kind. A copy. */
    public fun toShortArray(): ShortArray? = (array as? ShortArray)?.copyOf(size)

    internal fun pushTo(session: SpeechSession) {
        when (array) {
            is ShortArray -> session.push(array, 0, size)
            is FloatArray -> session.push(array, 0, size)
        }
    }

    private companion object {
        fun checked(size: Int, most: Int): Int {
            require(size in 0..most) { "$size samples of an array of $most" }
            return size
        }
    }
}

/**
 * Where a recording is. Files of WAV, FLAC, MP3, AAC, Opus, Vorbis and more, or raw samples; of any length, in bounded
 * memory. Nothing is opened before the transcription starts.
 */
public sealed class AudioSource {
    internal class Path(val path: String) : AudioSource()

    internal class Bytes(val name: String, val bytes: ByteArray) : AudioSource()

    internal class Descriptor(val name: String, val opener: FileOpener) : AudioSource()

    internal class Samples(val pcm: ByteArray, val format: PcmFormat) : AudioSource()

    /** Names recordings. */
    public companion object {
        /** A file. */
        @JvmStatic
        public fun file(file: File): AudioSource = Path(file.absolutePath)

        /** A file, by its path. */
        @JvmStatic
        public fun file(path: String): AudioSource = file(File(path))

        /** The bytes of a file. [name] stands in error messages. The array is copied when the work starts. */
        @JvmStatic
        @JvmOverloads
        public fun bytes(bytes: ByteArray, name: String = "recording in memory"): AudioSource = Bytes(name, bytes)

        /** A file that [opener] opens when the work starts. [name] stands in error messages. */
        @JvmStatic
        public fun descriptor(name: String, opener: FileOpener): AudioSource = Descriptor(name, opener)

        /** Raw samples of 16 bit. */
        @JvmStatic
        @JvmOverloads
        public fun samples(samples: ShortArray, rate: Int = 16_000, channels: Int = 1): AudioSource {
            val bytes = ByteBuffer.allocate(samples.size * 2).order(ByteOrder.LITTLE_ENDIAN)
            bytes.asShortBuffer().put(samples)
            return Samples(bytes.array(), PcmFormat(SampleEncoding.Signed16, rate, channels))
        }

        /** Raw samples between -1 and 1. */
        @JvmStatic
        @JvmOverloads
        public fun samples(samples: FloatArray, rate: Int = 16_000, channels: Int = 1): AudioSource {
            val bytes = ByteBuffer.allocate(samples.size * 4).order(ByteOrder.LITTLE_ENDIAN)
            bytes.asFloatBuffer().put(samples)
            return Samples(bytes.array(), PcmFormat(SampleEncoding.Float32, rate, channels))
        }

        /** Raw samples as bytes. */
        @JvmStatic
        public fun pcm(bytes: ByteArray, format: PcmFormat): AudioSource = Samples(bytes, format)
    }
}

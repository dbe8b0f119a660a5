package dev.sotto

import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.asFlow
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.jflac.FLACDecoder
import org.jflac.PCMProcessor
import org.jflac.metadata.StreamInfo
import org.jflac.util.ByteData
import java.io.ByteArrayOutputStream
import java.io.File
import java.io.FileDescriptor
import java.io.RandomAccessFile
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.file.Files
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds

/** What the tests work on: the starter model and its recording. */
object Fixtures {
    val root = File(System.getProperty("sotto.root")).canonicalFile
    val modelFile = root.resolve("core/starter/models/speech/starter.en.sotto")
    val demoFile = root.resolve("core/starter/audio/demo.flac")

    val model: ModelSource get() = ModelSource.file(modelFile)
    val demo: AudioSource get() = AudioSource.file(demoFile)

    /** Eight seconds of speech, 16 kHz mono. */
    val samples: ShortArray by lazy { decode(demoFile) }
    val silence = ShortArray(32_000)

    const val WORDS =
        "good morning the train to the airport leaves at a quarter past 9 please do not forget your umbrella"

    /** One engine and one recognizer for tests that do not change them. */
    val engine: Sotto by lazy { Sotto(SottoSettings(threads = 2)) }
    val recognizer: SpeechRecognizer by lazy { runBlocking { engine.loadSpeech(model) } }

    fun floats(samples: ShortArray): FloatArray = FloatArray(samples.size) { samples[it] / 32_768f }

    fun bytes(samples: ShortArray): ByteArray {
        val bytes = ByteBuffer.allocate(samples.size * 2).order(ByteOrder.LITTLE_ENDIAN)
        bytes.asShortBuffer().put(samples)
        return bytes.array()
    }

    /** Pieces of a few milliseconds, as a microphone gives them. */
    fun chunks(samples: ShortArray, size: Int = 320): Flow<PcmChunk> =
        samples.asList().chunked(size).map { PcmChunk(it.toShortArray()) }.asFlow()

    fun folder(): File = Files.createTempDirectory("sotto").toFile().also { it.deleteOnExit() }

    /** Opens a part of a file as Android opens an asset. */
    fun opener(file: File, offset: Long = 0, length: Long = file.length() - offset) = FileOpener {
        val open = RandomAccessFile(file, "r")
        OpenFile(number(open.fd), offset, length, open)
    }

    private fun number(descriptor: FileDescriptor): Int {
        val field = FileDescriptor::class.java.getDeclaredField("fd")
        field.isAccessible = true
        return field.getInt(descriptor)
    }

    private fun decode(file: File): ShortArray {
        val bytes = ByteArrayOutputStream()
        file.inputStream().use { stream ->
            val decoder = FLACDecoder(stream)
            decoder.addPCMProcessor(object : PCMProcessor {
                override fun processStreamInfo(info: StreamInfo) = Unit

                override fun processPCM(pcm: ByteData) = bytes.write(pcm.data, 0, pcm.len)
            })
            decoder.decode()
        }
        val shorts = ByteBuffer.wrap(bytes.toByteArray()).order(ByteOrder.LITTLE_ENDIAN).asShortBuffer()
        return ShortArray(shorts.remaining()).also { shorts.get(it) }
    }
}

/** Runs a test that waits; one that hangs fails. */
fun waiting(limit: Duration = 120.seconds, test: suspend CoroutineScope.() -> Unit): Unit =
    runBlocking(Dispatchers.Default) { withTimeout(limit) { test() } }

fun normalized(text: String): String = TextMetrics.normalizeEnglish(text)

/** Bytes of this process that are in memory. */
fun residentBytes(): Long = File("/proc/self/statm").readText().split(' ')[1].toLong() * 4096

/** Collects garbage until the cleaner has freed native objects whose owners are gone. */
fun collectGarbage() {
    repeat(4) {
        System.gc()
        Thread.sleep(50)
    }
}

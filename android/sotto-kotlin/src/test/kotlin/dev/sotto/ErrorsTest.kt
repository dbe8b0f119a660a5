package dev.sotto

import kotlinx.coroutines.flow.emptyFlow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.toList
import org.junit.jupiter.api.Test
import java.io.File
import java.io.IOException
import java.nio.ByteBuffer
import java.util.concurrent.TimeUnit
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.test.assertNull
import kotlin.test.assertTrue

/** Bad input of every kind gives an exception of its own type, never a crash. */
class ErrorsTest {
    private val recognizer = Fixtures.recognizer

    @Test
    fun `every error says what and what next`() = waiting {
        val failures = listOf(
            assertFailsWith<SpeechException.InvalidModel> { Fixtures.engine.loadSpeech(ModelSource.file("/nowhere")) },
            assertFailsWith<SpeechException.InvalidAudio> { recognizer.transcribe(AudioSource.file("/nowhere.wav")) },
            assertFailsWith<SpeechException.InvalidOption> {
                recognizer.transcribe(Fixtures.demo, TranscriptionOptions(task = SpeechTask.Translate))
            },
        )
        for (failure in failures) {
            assertTrue(failure.reason.isNotBlank() && failure.nextStep.isNotBlank(), failure.toString())
            assertContains(failure.message!!, failure.nextStep)
        }
        assertEquals(listOf("invalid_model", "invalid_audio", "invalid_option"), failures.map { it.code })
    }

    @Test
    fun `a limit that is too small refuses with its figures`() = waiting {
        Sotto(SottoSettings(threads = 1, memoryLimit = 1_000_000)).use { engine ->
            val refused = assertFailsWith<SpeechException.OutOfBudget> { engine.loadSpeech(Fixtures.model) }
            assertTrue(refused.needed > 1_000_000 && refused.available <= 1_000_000)
            assertEquals(0, engine.memory().used)
        }
    }

    @Test
    fun `options without meaning are refused by name`() = waiting {
        val options = TranscriptionOptions()
        val wrong = mapOf(
            "beam" to options.copy(search = SearchOptions(beam = -1)),
            "best_of" to options.copy(search = SearchOptions(bestOf = 99)),
            "patience" to options.copy(search = SearchOptions(patience = Float.NaN)),
            "length_penalty" to options.copy(search = SearchOptions(lengthPenalty = 7f)),
            "temperatures" to options.copy(search = SearchOptions(temperatures = emptyList())),
            "max_tokens" to options.copy(maxTokens = 0),
            "suppress_tokens" to options.copy(suppressTokens = listOf(-5)),
            "hotword_strength" to options.copy(hotwords = listOf("a"), hotwordStrength = Float.NaN),
            "language" to options.copy(language = Language.of("klingon")),
        )
        for ((name, bad) in wrong) {
            val refused = assertFailsWith<SpeechException.InvalidOption>(name) {
                recognizer.transcribe(Fixtures.demo, bad)
            }
            assertEquals(name.filter { it != '_' }, refused.option.lowercase().filter { it != '_' })
        }
        for (bad in listOf(SessionOptions(step = 0.0), SessionOptions(step = Double.NaN), SessionOptions(trim = 0.1))) {
            assertFailsWith<SpeechException.InvalidOption> { recognizer.startSession(bad) }
        }
        assertFailsWith<SpeechException.InvalidOption> { Sotto(SottoSettings(threads = -1)) }
        assertFailsWith<SpeechException.InvalidOption> { Sotto(SottoSettings(memoryLimit = -1)) }
        assertFailsWith<SpeechException.InvalidOption> { Sotto(SottoSettings(instructionSet = "abacus")) }
        for (level in LogLevel.entries) Sotto.setLogLevel(level)
        Sotto.setLogLevel(LogLevel.Off)
    }

    @Test
    fun `formats that no audio has are refused`() {
        val formats = listOf(
            PcmFormat(rate = 0), PcmFormat(rate = -1), PcmFormat(channels = 0), PcmFormat(channels = 70_000),
        )
        for (bad in formats) {
            assertFailsWith<SpeechException.InvalidAudio>("$bad") { recognizer.startSession(format = bad) }
        }
    }

    @Test
    fun `empty, odd and huge buffers`() = waiting {
        recognizer.startSession().use { session ->
            session.push(ByteArray(0))
            session.push(ShortArray(0))
            session.push(ByteBuffer.allocate(0))
            session.push(ByteBuffer.allocateDirect(0))
            // A sample that arrives in two pieces.
            val bytes = Fixtures.bytes(Fixtures.samples)
            session.push(bytes, 0, 333)
            session.push(bytes, 333, bytes.size - 333)
            // More than may wait at all is refused as a whole.
            assertFailsWith<SpeechException.InvalidAudio> { session.push(ShortArray(16_000 * 60 * 20)) }
            session.finish()
            val text = session.events().toList().filterIsInstance<SpeechEvent.Final>().joinToString("") { it.text.text }
            assertContains(normalized(text), "a quarter past 9")
        }
        assertEquals("", recognizer.transcribe(AudioSource.samples(ShortArray(0))).text)
        assertEquals("", recognizer.transcribe(AudioSource.pcm(ByteArray(1), PcmFormat())).text)
    }

    @Test
    fun `buffers keep their positions`() = waiting {
        recognizer.startSession().use { session ->
            val bytes = Fixtures.bytes(Fixtures.samples)
            for (buffer in listOf(ByteBuffer.allocateDirect(bytes.size + 7), ByteBuffer.allocate(bytes.size + 7))) {
                buffer.position(7)
                buffer.put(bytes)
                buffer.position(7)
                session.push(buffer)
                assertEquals(0, buffer.remaining())
            }
            session.push(ByteBuffer.wrap(bytes).asReadOnlyBuffer())
            session.finish()
            val text = session.events().toList().filterIsInstance<SpeechEvent.Final>().joinToString("") { it.text.text }
            assertEquals(3, Regex("quarter past").findAll(text).count(), text)
        }
    }

    @Test
    fun `pieces outside their array and of the wrong kind`() {
        recognizer.startSession().use { session ->
            for ((offset, length) in listOf(-1 to 1, 0 to 9, 5 to 5, Int.MAX_VALUE to Int.MAX_VALUE, 0 to -1)) {
                assertFailsWith<SpeechException.InvalidAudio> { session.push(ByteArray(8), offset, length) }
                assertFailsWith<SpeechException.InvalidAudio> { session.push(ShortArray(8), offset, length) }
            }
            assertFailsWith<SpeechException.InvalidAudio> { session.push(FloatArray(4)) }
        }
    }

    @Test
    fun `samples that are no numbers are silence or refused, never a crash`() = waiting {
        val wrong = floatArrayOf(Float.NaN, Float.POSITIVE_INFINITY, -1e30f)
        recognizer.startSession(format = PcmFormat(SampleEncoding.Float32)).use { session ->
            try {
                session.push(FloatArray(16_000) { wrong[it % 3] })
                session.finish()
                session.events().toList()
            } catch (_: SpeechException.InvalidAudio) {
                // As good.
            }
        }
        try {
            recognizer.transcribe(AudioSource.samples(FloatArray(16_000) { wrong[it % 3] }))
        } catch (_: SpeechException.InvalidAudio) {
        }
    }

    @Test
    fun `calls after close say so`() = waiting {
        val engine = Sotto(SottoSettings(threads = 1))
        val model = engine.loadSpeech(Fixtures.model)
        val session = model.startSession()
        session.close()
        session.close()
        assertFailsWith<SpeechException.Ended> { session.push(ShortArray(4)) }
        assertFailsWith<SpeechException.Ended> { session.push(ByteBuffer.allocateDirect(4)) }
        assertFailsWith<SpeechException.Ended> { session.finish() }
        assertFailsWith<SpeechException.Ended> { session.cancel() }
        assertFailsWith<SpeechException.Ended> { session.nextEvent() }
        assertFailsWith<SpeechException.Ended> { session.events().toList() }
        model.close()
        model.close()
        model.unload()
        assertFailsWith<SpeechException.Unloaded> { model.transcribe(Fixtures.demo) }
        assertFailsWith<SpeechException.Unloaded> { model.startSession() }
        assertFailsWith<SpeechException.Unloaded> { model.detectLanguage(Fixtures.demo) }
        assertFailsWith<SpeechException.Unloaded> { model.info() }
        assertFailsWith<SpeechException.Unloaded> { model.stream(emptyFlow()).toList() }
        engine.close()
        engine.close()
        assertFailsWith<SpeechException.Ended> { engine.loadSpeech(Fixtures.model) }
        assertFailsWith<SpeechException.Ended> { engine.memory() }
        assertFailsWith<SpeechException.Ended> { engine.models() }
        assertFailsWith<SpeechException.Ended> { engine.trim(TrimLevel.Idle) }
        assertFailsWith<SpeechException.Ended> { engine.findSpeech(Fixtures.demo).toList() }
        assertFailsWith<SpeechException.Ended> { engine.estimateSpeech(Fixtures.model) }
    }

    @Test
    fun `a finished session takes nothing more and ends`() = waiting {
        recognizer.startSession().use { session ->
            session.finish()
            session.finish()
            assertFailsWith<SpeechException.Ended> { session.push(ShortArray(4)) }
            assertNull(session.nextEvent())
            assertNull(session.nextEvent())
        }
    }

    @Test
    fun `text of half surrogate pairs is taken`() = waiting {
        val lone = "caf\uD83D\uDE00 \uD83D"
        assertContains(recognizer.transcribe(Fixtures.demo, TranscriptionOptions(prompt = lone)).text, "airport")
        recognizer.transcribe(Fixtures.demo, TranscriptionOptions(hotwords = listOf("\uDC00", "ﷺ", "家")))
        assertFailsWith<SpeechException.InvalidModel> { Fixtures.engine.loadSpeech(ModelSource.file("/\uD800")) }
        assertFailsWith<SpeechException.InvalidAudio> { recognizer.transcribe(AudioSource.file("/a\u0000b.wav")) }
        assertFailsWith<SpeechException.InvalidOption> {
            recognizer.transcribe(Fixtures.demo, TranscriptionOptions(language = Language.of("\uD800")))
        }
        assertEquals(2, TextMetrics.characterErrors("\uD800\uD800", "").deletions)
        Subtitles.write(listOf(Segment(0.0, 1.0, " \uD800 ŞšФ")))
    }

    @Test
    fun `openers that fail are invalid sources`() = waiting {
        val broken = FileOpener { throw IOException("the asset is compressed") }
        val model = assertFailsWith<SpeechException.InvalidModel> {
            Fixtures.engine.loadSpeech(ModelSource.descriptor("asset", broken))
        }
        assertContains(model.reason, "the asset is compressed")
        val refused = FileOpener { throw SecurityException("not granted") }
        assertFailsWith<SpeechException.InvalidAudio> { recognizer.transcribe(AudioSource.descriptor("uri", refused)) }
        for (file in listOf(OpenFile(-1, 0, 10), OpenFile(0, -1, 10), OpenFile(0, 0, -1), OpenFile(9_999, 0, 10))) {
            assertFailsWith<SpeechException> { recognizer.transcribe(AudioSource.descriptor("x") { file }) }
            assertFailsWith<SpeechException.InvalidModel> {
                Fixtures.engine.loadSpeech(ModelSource.descriptor("x") { file })
            }
        }
        assertFailsWith<SpeechException.InvalidModel> { Fixtures.engine.loadSpeech(ModelSource.resource("no/such")) }
    }

    @Test
    fun `what the audio flow throws reaches the collector`() = waiting {
        val failing = flow<PcmChunk> {
            emit(PcmChunk(ShortArray(320)))
            throw IOException("the cable is out")
        }
        val failure = assertFailsWith<IOException> { recognizer.stream(failing).toList() }
        assertContains(failure.message!!, "the cable is out")
    }

    @Test
    fun `a missing library says what to do`() {
        val out = child(File("/nowhere").path)
        assertContains(out, "LibraryException")
        assertContains(out, "jna.library.path")
    }

    @Test
    fun `a library that is none says what to do`() {
        val folder = Fixtures.folder()
        folder.resolve("libsotto_ffi.so").writeText("not a library")
        assertContains(child(folder.path), "LibraryException")
    }

    private fun child(libraries: String): String {
        val java = File(System.getProperty("java.home"), "bin/java").path
        val process = ProcessBuilder(
            java, "-XX:TieredStopAtLevel=1", "-Djna.library.path=$libraries",
            "-cp", System.getProperty("java.class.path"),
            "dev.sotto.WithoutLibrary",
        ).redirectErrorStream(true).start()
        val out = process.inputStream.readAllBytes().decodeToString()
        assertTrue(process.waitFor(60, TimeUnit.SECONDS))
        assertEquals(0, process.exitValue(), out)
        return out
    }
}

/** Runs in a process of its own, where no library is found: twice, for the second time must say the same. */
object WithoutLibrary {
    @JvmStatic
    fun main(arguments: Array<String>) {
        repeat(2) {
            val failure = runCatching { Sotto() }.exceptionOrNull()
            println(assertIs<LibraryException>(failure))
        }
        assertIs<LibraryException>(runCatching { Sotto.version }.exceptionOrNull())
        assertIs<LibraryException>(runCatching { TextMetrics.sentences("a") }.exceptionOrNull())
    }
}

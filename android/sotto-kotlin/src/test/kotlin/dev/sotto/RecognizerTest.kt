package dev.sotto

import kotlinx.coroutines.flow.toList
import org.junit.jupiter.api.Test
import java.io.File
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertIs
import kotlin.test.assertNotEquals
import kotlin.test.assertTrue

/** Models and recordings: every way to hand them over, every option, every figure. */
class RecognizerTest {
    private val recognizer = Fixtures.recognizer

    private suspend fun text(options: TranscriptionOptions): String =
        recognizer.transcribe(Fixtures.demo, options).text

    @Test
    fun `a model comes from a file, from memory, from inside another file and from the class path`() = waiting {
        val inside = Fixtures.folder().resolve("häuser 家 🎙.bin")
        inside.writeBytes(ByteArray(8192) + Fixtures.modelFile.readBytes() + ByteArray(77))
        val renamed = Fixtures.folder().resolve("модель ñ 模型.sotto")
        Fixtures.modelFile.copyTo(renamed)
        val sources = listOf(
            ModelSource.file(Fixtures.modelFile.path),
            ModelSource.file(renamed),
            ModelSource.bytes(Fixtures.modelFile.readBytes()),
            ModelSource.descriptor("inside", Fixtures.opener(inside, 8192, Fixtures.modelFile.length())),
            ModelSource.starter(),
        )
        Sotto(SottoSettings(threads = 2)).use { engine ->
            for (source in sources) {
                engine.loadSpeech(source).use {
                    assertContains(it.transcribe(Fixtures.demo).text, "quarter past nine")
                }
            }
        }
        inside.delete()
        renamed.delete()
    }

    @Test
    fun `samples as shorts, floats and bytes give the same text`() = waiting {
        val samples = Fixtures.samples
        val texts = listOf(
            AudioSource.samples(samples),
            AudioSource.samples(Fixtures.floats(samples)),
            AudioSource.pcm(Fixtures.bytes(samples), PcmFormat()),
        ).map { recognizer.transcribe(it).text }
        assertEquals(1, texts.toSet().size, "$texts")
        assertEquals(Fixtures.WORDS, normalized(texts[0]))
    }

    @Test
    fun `a channel is chosen`() = waiting {
        val stereo = ShortArray(Fixtures.samples.size * 2) { if (it % 2 == 0) Fixtures.samples[it / 2] else 0 }
        val audio = AudioSource.samples(stereo, channels = 2)
        assertContains(recognizer.transcribe(audio, channel = AudioChannel.Left).text, "airport")
        assertEquals("", recognizer.transcribe(audio, channel = AudioChannel.Right).text)
    }

    @Test
    fun `progress never goes back and ends at the end`() = waiting {
        val seen = mutableListOf<Progress>()
        val transcript = recognizer.transcribe(Fixtures.demo) { seen += it }
        assertTrue(seen.isNotEmpty())
        assertTrue(seen.zipWithNext().all { (one, next) -> one.done <= next.done })
        assertTrue(seen.all { it.unit == Progress.Unit.AudioMs && (it.fraction ?: 0.0) in 0.0..1.0 })
        assertEquals(8.055, transcript.duration, 1e-9)
        assertTrue(transcript.timing.totalMs > 0 && transcript.timing.tokens > 0)
    }

    @Test
    fun `events end with all segments`() = waiting {
        val events = recognizer.transcription(Fixtures.demo).toList()
        val segments = events.filterIsInstance<TranscriptionEvent.Recognized>().map { it.segment }
        assertEquals(segments, assertIs<TranscriptionEvent.Finished>(events.last()).transcript.segments)
    }

    @Test
    fun `loading tells its progress`() = waiting {
        val seen = mutableListOf<Progress>()
        Sotto(SottoSettings(threads = 1)).use { engine -> engine.loadSpeech(Fixtures.model) { seen += it }.close() }
        assertTrue(seen.all { it.unit == Progress.Unit.Weights })
        assertTrue(seen.zipWithNext().all { (one, next) -> one.done <= next.done })
    }

    @Test
    fun `the same file is loaded once`() = waiting {
        Sotto(SottoSettings(threads = 1)).use { engine ->
            val first = engine.loadSpeech(Fixtures.model)
            val used = engine.memory().used
            val second = engine.loadSpeech(Fixtures.model)
            assertEquals(used, engine.memory().used)
            assertEquals(listOf(2), engine.models().map { it.handles })
            first.close()
            assertContains(second.transcribe(Fixtures.demo).text, "airport")
            second.close()
            assertEquals(0, engine.models().sumOf { it.handles })
        }
    }

    @Test
    fun `an estimate is what is used`() = waiting {
        Sotto(SottoSettings(threads = 1)).use { engine ->
            val estimate = engine.estimateSpeech(Fixtures.model)
            assertTrue(estimate.model > 0 && estimate.session > 0 && estimate.peak >= estimate.model)
            assertEquals(0, engine.memory().used)
            engine.loadSpeech(Fixtures.model).use { assertEquals(estimate.model, engine.memory().used) }
        }
    }

    @Test
    fun `the shared engine is one`() = waiting {
        assertTrue(Sotto.shared === Sotto.shared)
        assertFailsWith<IllegalStateException> { Sotto.configure(SottoSettings(threads = 1)) }
        SpeechRecognizer.load(Fixtures.model).use { assertFalse(it.info().multilingual) }
    }

    @Test
    fun `the processor and the version are known`() {
        assertTrue(Sotto.version.matches(Regex("""\d+\.\d+\.\d+.*""")), Sotto.version)
        assertTrue(Sotto.processor.instructionSet.isNotEmpty() && Sotto.processor.threads > 0)
        Sotto.setLogLevel(LogLevel.Warn)
    }

    @Test
    fun `where someone speaks is found without a model`() = waiting {
        val events = Fixtures.engine.findSpeech(Fixtures.demo).toList()
        val speech = events.filterIsInstance<VoiceEvent.Speech>()
        assertTrue(speech.isNotEmpty() && speech.all { it.start < it.end && it.end <= 8.06 })
        assertEquals(8.055, assertIs<VoiceEvent.Finished>(events.last()).duration, 1e-9)
        // Without audio kept on both sides the stretches are shorter.
        val tight = Fixtures.engine.findSpeech(Fixtures.demo, VoiceActivity(speechPadMs = 0)).toList()
            .filterIsInstance<VoiceEvent.Speech>()
        assertTrue(tight.sumOf { it.end - it.start } < speech.sumOf { it.end - it.start })
    }

    // Each option changes what it should.

    @Test
    fun `timestamps none, segment and word differ`() = waiting {
        val none = recognizer.transcribe(Fixtures.demo, TranscriptionOptions(timestamps = TimestampDetail.Unneeded))
        val word = recognizer.transcribe(Fixtures.demo, TranscriptionOptions(timestamps = TimestampDetail.Word))
        assertTrue(none.segments.flatMap { it.words }.isEmpty())
        val words = word.segments.flatMap { it.words }
        assertTrue(words.size in 15..22, "$words")
        assertTrue(words.all { it.start < it.end && it.probability in 0f..1f })
    }

    @Test
    fun `a prefix begins the text`() = waiting {
        assertTrue(text(TranscriptionOptions(prefix = "Good evening.")).startsWith("Good evening."))
    }

    @Test
    fun `fewest tokens make a shorter text`() = waiting {
        val search = SearchOptions(temperatures = listOf(0f))
        val options = TranscriptionOptions(maxTokens = 4, asWritten = true, search = search)
        assertTrue(text(options).length < text(TranscriptionOptions()).length)
    }

    @Test
    fun `suppressed tokens are not written`() = waiting {
        val usual = recognizer.transcribe(Fixtures.demo)
        val token = usual.segments[1].tokens.first { it in 300..50_000 }
        val without = recognizer.transcribe(Fixtures.demo, TranscriptionOptions(suppressTokens = listOf(token)))
        assertTrue(without.segments.none { token in it.tokens })
        assertNotEquals(usual.text, without.text)
    }

    @Test
    fun `hotwords pull the text towards them`() = waiting {
        val pulled = text(TranscriptionOptions(hotwords = listOf("amber ella"), hotwordStrength = 12f))
        assertNotEquals(text(TranscriptionOptions()), pulled)
    }

    @Test
    fun `a prompt changes what the decoder sees`() = waiting {
        val prompted = recognizer.transcribe(Fixtures.demo, TranscriptionOptions(prompt = "GOOD EVENING. THE PLANE."))
        val usual = recognizer.transcribe(Fixtures.demo)
        assertNotEquals(usual.segments[0].avgLogprob, prompted.segments[0].avgLogprob)
    }

    @Test
    fun `a wide beam and a temperature change the search`() = waiting {
        val greedy = recognizer.transcribe(Fixtures.demo)
        val beam = recognizer.transcribe(Fixtures.demo, TranscriptionOptions(search = SearchOptions(beam = 4)))
        assertTrue(beam.timing.tokens > 0)
        val warm = SearchOptions(temperatures = listOf(0.8f), bestOf = 1, seed = 7)
        val one = recognizer.transcribe(Fixtures.demo, TranscriptionOptions(search = warm))
        val same = recognizer.transcribe(Fixtures.demo, TranscriptionOptions(search = warm))
        assertEquals(one.text, same.text)
        assertEquals(0.8f, one.segments[0].temperature)
        assertEquals(0f, greedy.segments[0].temperature)
    }

    @Test
    fun `the true length is what is usually computed, not the window`() = waiting {
        val short = AudioSource.samples(Fixtures.samples.copyOf(32_000))
        suspend fun heard(options: TranscriptionOptions) =
            recognizer.transcribe(short, options).segments.map { it.avgLogprob }
        val usual = heard(TranscriptionOptions())
        assertEquals(usual, heard(TranscriptionOptions(context = EncodedContext.TrueLength)))
        assertNotEquals(usual, heard(TranscriptionOptions(context = EncodedContext.Window)))
    }

    @Test
    fun `voice activity detection leaves silence out`() = waiting {
        val audio = AudioSource.samples(ShortArray(80_000) + Fixtures.samples + ShortArray(80_000))
        val transcript = recognizer.transcribe(audio, TranscriptionOptions(voiceActivity = VoiceActivity()))
        assertContains(normalized(transcript.text), "a quarter past 9")
        assertTrue(transcript.segments.first().start > 4.0)
        // With a threshold that nothing reaches nothing is heard.
        val deaf = VoiceActivity(threshold = 1f, endThreshold = 0.99f)
        assertEquals("", recognizer.transcribe(audio, TranscriptionOptions(voiceActivity = deaf)).text)
    }

    @Test
    fun `timestamp tokens are written in every window where asked for`() = waiting {
        val options = TranscriptionOptions(timestampTokens = true, asWritten = true)
        assertTrue(recognizer.transcribe(Fixtures.demo, options).segments.isNotEmpty())
    }

    @Test
    fun `the rest of the options is taken`() = waiting {
        val options = TranscriptionOptions(
            language = Language.of("English"), promptReach = PromptReach.First, prompt = "A train.",
            conditionOnPrevious = true, allowNonSpeech = true, normalizeRecording = true,
        )
        assertContains(text(options), "airport")
        assertContains(text(TranscriptionOptions(language = Language.Each)), "airport")
    }

    @Test
    fun `a precision that a packed model does not have is an invalid option`() = waiting {
        Sotto(SottoSettings(threads = 1, precision = Precision.Float32)).use { engine ->
            assertFailsWith<SpeechException.InvalidOption> { engine.loadSpeech(Fixtures.model) }
        }
    }

    @Test
    fun `one thread, the slowest kernels and all threads give the same text`() = waiting {
        val texts = listOf(SottoSettings(threads = 1), SottoSettings(threads = 4)).map { settings ->
            Sotto(settings).use { engine -> engine.loadSpeech(Fixtures.model).use { it.transcribe(Fixtures.demo) } }
        }.map { it.text to it.segments }
        assertEquals(1, texts.toSet().size)
    }

    @Test
    fun `subtitles follow their options`() = waiting {
        val options = TranscriptionOptions(timestamps = TimestampDetail.Word)
        val segments = recognizer.transcribe(Fixtures.demo, options).segments
        val cues = Subtitles.cues(segments)
        assertTrue(cues.all { cue -> cue.start < cue.end && cue.lines.all { it.length <= 42 } })
        val words = Subtitles.cues(segments, SubtitleOptions(perWord = true))
        assertTrue(words.size > cues.size)
        assertTrue(Subtitles.write(segments, SubtitleFormat.Vtt).startsWith("WEBVTT"))
        val narrow = Subtitles.cues(segments, SubtitleOptions(maxLineLength = 12))
        assertTrue(narrow.flatMap { it.lines }.all { it.length <= 12 })
        assertFailsWith<SpeechException.InvalidOption> { Subtitles.cues(segments, SubtitleOptions(maxLineLength = -1)) }
    }

    @Test
    fun `texts are compared and cut`() {
        assertEquals(listOf("One.", "Two!"), TextMetrics.sentences("One. Two!").map { it.trim() })
        val errors = TextMetrics.wordErrors("the cat sat", "the bat sat down")
        assertEquals(TextErrors(hits = 2, substitutions = 1, deletions = 0, insertions = 1, rate = 2.0 / 3), errors)
        assertEquals(1, TextMetrics.characterErrors("東京都", "東京").deletions)
        assertEquals("colour", TextMetrics.normalizeEnglish("Colour!").replace("color", "colour"))
    }

    @Test
    fun `unloading gives memory back while others hold the model`() = waiting {
        Sotto(SottoSettings(threads = 1)).use { engine ->
            val one = engine.loadSpeech(Fixtures.model)
            val other = engine.loadSpeech(Fixtures.model)
            one.unload()
            assertEquals(0, engine.memory().used)
            assertFailsWith<SpeechException.Unloaded> { other.transcribe(Fixtures.demo) }
            assertFailsWith<SpeechException.Unloaded> { other.info() }
            // A new load brings it back.
            engine.loadSpeech(Fixtures.model).use { assertContains(it.transcribe(Fixtures.demo).text, "airport") }
            one.close()
            other.close()
        }
    }

    @Test
    fun `with a limit an unused model stays until trimmed`() = waiting {
        Sotto(SottoSettings(threads = 1, memoryLimit = 500_000_000)).use { engine ->
            engine.loadSpeech(Fixtures.model).close()
            assertEquals(500_000_000, engine.memory().limit)
            assertEquals(1, engine.models().size)
            assertEquals(1, engine.trim(TrimLevel.Unused).models)
            assertEquals(0, engine.memory().used)
        }
    }

    @Test
    fun `a folder for packed models is used`() = waiting {
        val cache = Fixtures.folder()
        Sotto(SottoSettings(threads = 1, cacheFolder = cache.path, cacheLimit = 1_000_000_000)).use { engine ->
            engine.loadSpeech(Fixtures.model).close()
            assertEquals(null, engine.takeCacheProblem())
        }
    }

    @Test
    fun `long recordings are heard to their end`() = waiting {
        val long = (1..6).fold(ShortArray(0)) { all, _ -> all + Fixtures.samples }
        val transcript = recognizer.transcribe(AudioSource.samples(long))
        val said = Regex("the train to", RegexOption.IGNORE_CASE).findAll(transcript.text)
        assertEquals(6, said.count(), transcript.text)
        assertTrue(transcript.segments.last().end > 45)
    }

    @Test
    fun `a model file that is deleted while open goes on working`() = waiting {
        val copy = Fixtures.folder().resolve("copy.sotto")
        Fixtures.modelFile.copyTo(copy)
        Sotto(SottoSettings(threads = 1)).use { engine ->
            engine.loadSpeech(ModelSource.file(copy)).use {
                assertTrue(copy.delete())
                assertContains(it.transcribe(Fixtures.demo).text, "airport")
            }
            assertFailsWith<SpeechException.InvalidModel> { engine.loadSpeech(ModelSource.file(File(copy.path))) }
        }
    }
}

@file:OptIn(kotlinx.coroutines.ExperimentalCoroutinesApi::class)

package dev.sotto

import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.cancel
import kotlinx.coroutines.channels.ReceiveChannel
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.catch
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.map
import kotlinx.coroutines.flow.produceIn
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.boolean
import kotlinx.serialization.json.float
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import kotlinx.serialization.json.long
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.TestFactory
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.test.assertTrue

/** Runs bindings/conformance/speech.json on this surface: the same cases as Rust, the command line and Swift. */
class ConformanceTest {
    private val place = Place()

    @TestFactory
    fun `every case of the table holds here`(): List<DynamicTest> {
        val table = Json.parseToJsonElement(Fixtures.root.resolve("bindings/conformance/speech.json").readText())
        return table.jsonObject.getValue("cases").jsonArray.map { it.jsonObject }
            .filter { case -> case["surfaces"]?.jsonArray?.any { it.text == "kotlin" } ?: true }
            .map { case -> DynamicTest.dynamicTest(case.text("name")) { waiting { run(case) } } }
    }

    private suspend fun run(case: JsonObject) {
        val outcome = Outcome()
        engine(case).use { engine ->
            try {
                when (val kind = case.text("run")) {
                    "load" -> engine.loadSpeech(place.model(case)).close()
                    "transcribe", "subtitles" -> transcribe(engine, case, outcome)
                    "stream" -> stream(engine, case, outcome)
                    "detect_language" ->
                        outcome.language = loaded(engine, case) { it.detectLanguage(place.input(case)).code }
                    "voice_activity" -> voiceActivity(engine, case, outcome)
                    "estimate" -> outcome.estimate = engine.estimateSpeech(place.model(case))
                    "race" -> Race(engine, place).use { race -> outcome.end = race.run(case) }
                    else -> error("a run of kind $kind")
                }
            } catch (failure: SpeechException) {
                outcome.error = failure
            }
        }
        outcome.check(case.getValue("expect").jsonObject)
    }

    private fun engine(case: JsonObject): Sotto {
        val limit = case["engine"]?.jsonObject?.get("memory_limit")?.jsonPrimitive?.long
        return Sotto(SottoSettings(threads = 2, memoryLimit = limit))
    }

    private suspend fun <T> loaded(engine: Sotto, case: JsonObject, use: suspend (SpeechRecognizer) -> T): T =
        engine.loadSpeech(place.model(case)).let { recognizer -> recognizer.use { use(it) } }

    private suspend fun transcribe(
        engine: Sotto,
        case: JsonObject,
        outcome: Outcome,
    ) = loaded(engine, case) { recognizer ->
        recognizer.transcription(place.input(case), speechOptions(case["settings"])).collect { event ->
            when (event) {
                is TranscriptionEvent.Working -> outcome.event("progress")
                is TranscriptionEvent.Recognized -> outcome.event("segment")
                is TranscriptionEvent.Finished -> {
                    outcome.event("finished")
                    outcome.transcript = event.transcript
                }
            }
        }
        case["subtitle_format"]?.let { format ->
            val kind = if (format.text == "srt") SubtitleFormat.Srt else SubtitleFormat.Vtt
            outcome.file = Subtitles.write(outcome.transcript!!.segments, kind)
        }
    }

    private suspend fun stream(engine: Sotto, case: JsonObject, outcome: Outcome) = loaded(engine, case) { recognizer ->
        val wanted = case.getValue("format").jsonObject
        val encoding = if (wanted.text("encoding") == "s16") SampleEncoding.Signed16 else SampleEncoding.Float32
        val format = PcmFormat(encoding, wanted.int("rate"), wanted.int("channels"))
        val speech = case["settings"]?.jsonObject?.get("speech")
        val options = SessionOptions(speech = speechOptions(speech))
        recognizer.startSession(options, format).use { session ->
            val pcm = place.pcm(case.text("input"), format)
            val sample = if (encoding == SampleEncoding.Signed16) 2 else 4
            val bytesPerSecond = format.rate.toLong() * format.channels * sample
            val piece = maxOf(1, (bytesPerSecond * case.int("push_ms") / 1000).toInt())
            for (start in pcm.indices step piece) session.push(pcm, start, minOf(piece, pcm.size - start))
            session.finish()
            session.events().collect { event ->
                when (event) {
                    is SpeechEvent.Volatile -> outcome.event("volatile")
                    is SpeechEvent.Final -> {
                        outcome.event("final")
                        outcome.finals += event.text.text
                    }
                }
            }
        }
    }

    private suspend fun voiceActivity(engine: Sotto, case: JsonObject, outcome: Outcome) {
        outcome.voice = 0
        engine.findSpeech(place.input(case)).collect {
            if (it is VoiceEvent.Speech) outcome.voice = outcome.voice!! + 1
        }
    }
}

/** What a case gave, and whether that is what the table expects. */
private class Outcome {
    var error: SpeechException? = null
    var transcript: Transcript? = null
    val events = mutableListOf<String>()
    var finals = ""
    var language: String? = null
    var voice: Int? = null
    var file: String? = null
    var estimate: MemoryEstimate? = null
    var end: String? = null

    fun event(kind: String) {
        if (events.lastOrNull() != kind) events += kind
    }

    fun check(expect: JsonObject) {
        if ("error" !in expect && "ends" !in expect) error?.let { throw it }
        for ((key, wanted) in expect) {
            assertTrue(holds(key, wanted), "$key is not $wanted: $error $transcript $events $finals $end $file")
        }
    }

    private fun holds(key: String, wanted: JsonElement): Boolean = when (key) {
        "words" -> normalized(transcript?.text.orEmpty()) == wanted.text
        "text_has" -> wanted.text in transcript?.text.orEmpty()
        "text_is" -> transcript?.text == wanted.text
        "segments" -> transcript?.segments?.size == wanted.jsonPrimitive.int
        "words_timed" -> wordsAreTimed()
        "warnings" -> transcript?.warnings?.isNotEmpty() == wanted.jsonPrimitive.boolean
        "language" -> (language ?: transcript?.language) == wanted.text
        "events" -> events.filter { it != "progress" }.fold(listOf<String>()) { kinds, kind ->
            if (kinds.lastOrNull() == kind) kinds else kinds + kind
        } == wanted.jsonArray.map { it.text }.filter { it != "progress" }
        "final_words_have" ->
            if (wanted.text.isEmpty()) finals.isBlank() else wanted.text in normalized(finals)
        "error" -> wanted.names(error?.let { it::class.simpleName })
        "error_has" ->
            error.toString().contains(wanted.text) ||
                (error as? SpeechException.InvalidOption)?.option == wanted.text
        "ends" -> wanted.names(end)
        "voice" -> voice == wanted.jsonPrimitive.int
        "voice_at_least" -> (voice ?: 0) >= wanted.jsonPrimitive.int
        "file_has" -> wanted.text in file.orEmpty()
        "file_starts" -> file.orEmpty().startsWith(wanted.text)
        else -> error("nothing is known of `$key`")
    }

    private fun wordsAreTimed(): Boolean {
        val words = transcript?.segments.orEmpty().flatMap { it.words }
        return words.isNotEmpty() && words.all { it.start < it.end } &&
            words.zipWithNext().all { (one, next) -> one.end <= next.start + 1e-6 }
    }
}

/** Steps in order, whatever the threads of the engine are doing meanwhile. */
private class Race(private val engine: Sotto, private val place: Place) : AutoCloseable {
    private val scope = CoroutineScope(Dispatchers.Default)
    private var recognizer: SpeechRecognizer? = null
    private var session: SpeechSession? = null
    private var events: ReceiveChannel<Result<Any>>? = null

    /** How it ended: `done`, or the name of an error. */
    suspend fun run(case: JsonObject): String {
        if ("model" in case) recognizer = engine.loadSpeech(place.model(case))
        return try {
            case.getValue("steps").jsonArray.forEach { step(it.text) }
            "done"
        } catch (failure: SpeechException) {
            failure::class.simpleName!!
        } catch (_: CancellationException) {
            // A coroutine that was cancelled says so in its own way.
            "Cancelled"
        }
    }

    private suspend fun step(step: String) {
        when (step) {
            "load" -> events = flow { emit(engine.loadSpeech(Fixtures.model)) }.pulled()
            "transcribe" -> events = recognizer!!.transcription(Fixtures.demo).pulled().also { started(it) }
            "stream" -> {
                session = recognizer!!.startSession()
                events = session!!.events().pulled()
            }
            "push" -> session!!.push(Fixtures.samples)
            "finish" -> session!!.finish()
            "next" -> events!!.receiveCatching().getOrNull()?.getOrThrow()
            "drain" -> for (event in events!!) event.getOrThrow()
            "cancel" -> session?.cancel() ?: events!!.cancel()
            "drop" -> {
                session?.close()
                session = null
            }
            "unload" -> recognizer!!.unload()
            "trim" -> engine.trim(TrimLevel.Idle)
            "close_engine" -> engine.close()
            else -> error("a step called $step")
        }
    }

    /** A flow that is collected starts its work a little later, on another thread. */
    private suspend fun started(events: ReceiveChannel<Result<Any>>) {
        while (engine.models().none { it.running > 0 } && events.isEmpty && !events.isClosedForReceive) delay(1)
    }

    private fun <T : Any> Flow<T>.pulled(): ReceiveChannel<Result<Any>> =
        map<T, Result<Any>> { Result.success(it) }.catch { emit(Result.failure(it)) }.produceIn(scope)

    override fun close() {
        scope.cancel()
        session?.close()
        recognizer?.close()
    }
}

/** A folder with everything that the table names as a file. */
private class Place {
    private val folder = Fixtures.folder()

    init {
        val (model, demo) = Fixtures.modelFile.readBytes() to Fixtures.demoFile.readBytes()
        val text = "This is no model, and no recording either.\n".toByteArray()
        write("starter.sotto", model)
        write("cut.sotto", model.copyOf(model.size / 2))
        write("text.sotto", text)
        write("empty.sotto", ByteArray(0))
        write("demo.flac", demo)
        write("cut.flac", demo.copyOf(demo.size / 2))
        write("text.wav", text)
        write("demo.inside", ByteArray(IN_FRONT) { 7 } + demo + ByteArray(100) { 9 })
    }

    private fun write(name: String, bytes: ByteArray) {
        val file = folder.resolve(name)
        file.writeBytes(bytes)
        file.deleteOnExit()
    }

    fun model(case: JsonObject): ModelSource =
        ModelSource.file(folder.resolve("${case["model"]?.text ?: "starter"}.sotto"))

    fun input(case: JsonObject): AudioSource {
        val name = case.text("input")
        return when (val form = case["as"]?.text ?: "path") {
            "path" -> AudioSource.file(recording(name))
            "bytes" -> AudioSource.bytes(recording(name).readBytes(), name)
            "descriptor" -> AudioSource.descriptor(
                name, Fixtures.opener(folder.resolve("$name.inside"), IN_FRONT.toLong(), recording(name).length()),
            )
            "samples" -> AudioSource.pcm(pcm(name, PcmFormat()), PcmFormat())
            else -> error("an input as $form")
        }
    }

    private fun recording(name: String): File = folder.resolve(
        when (name) {
            "demo" -> "demo.flac"
            "cut" -> "cut.flac"
            "text" -> "text.wav"
            "missing" -> "missing.wav"
            else -> error("a recording called $name")
        },
    )

    /** Samples in a format: at another rate each one is repeated, which is enough for speech to be understood. */
    fun pcm(name: String, format: PcmFormat): ByteArray {
        val samples = when (name) {
            "demo" -> Fixtures.samples
            "silence" -> Fixtures.silence
            "empty" -> ShortArray(0)
            else -> error("samples called $name")
        }
        val copies = maxOf(1, format.rate / 16_000) * format.channels
        val size = if (format.encoding == SampleEncoding.Signed16) 2 else 4
        val pcm = ByteBuffer.allocate(samples.size * copies * size).order(ByteOrder.LITTLE_ENDIAN)
        for (sample in samples) {
            repeat(copies) { if (size == 2) pcm.putShort(sample) else pcm.putFloat(sample / 32_768f) }
        }
        return pcm.array()
    }

    private companion object {
        // What lies in front of a recording inside another file.
        const val IN_FRONT = 4099
    }
}

/** Options by their names in the table. A name that is not known fails the case. */
private fun speechOptions(settings: JsonElement?): TranscriptionOptions {
    var options = TranscriptionOptions()
    for ((key, value) in settings?.jsonObject.orEmpty()) {
        options = when (key) {
            "language" -> options.copy(language = Language.of(value.text))
            "task" -> options.copy(task = named(value))
            "timestamps" -> options.copy(timestamps = named(value))
            "context" -> options.copy(context = named(value))
            "prompt" -> options.copy(prompt = value.text)
            "prefix" -> options.copy(prefix = value.text)
            "hotwords" -> options.copy(hotwords = value.jsonArray.map { it.text })
            "search" -> options.copy(search = SearchOptions(beam = value.jsonObject.int("beam")))
            "voice_activity" ->
                options.copy(
                    voiceActivity = VoiceActivity(threshold = value.jsonObject["threshold"]?.jsonPrimitive?.float),
                )
            else -> error("an option called $key")
        }
    }
    return options
}

/** `true_length` is `TrueLength`. */
private inline fun <reified E : Enum<E>> named(value: JsonElement): E {
    val name = value.text.split('_').joinToString("") { it.replaceFirstChar(Char::uppercase) }
    return enumValueOf<E>(name)
}

private val JsonElement.text: String get() = jsonPrimitive.content

private fun JsonObject.text(key: String): String = getValue(key).text

private fun JsonObject.int(key: String): Int = getValue(key).jsonPrimitive.int

private fun JsonElement.names(name: String?): Boolean = if (this is JsonArray) any { it.text == name } else text == name

package dev.sotto.packaging

import com.sun.jna.Native
import dev.sotto.AudioChannel
import dev.sotto.AudioSource
import dev.sotto.DeviceReading
import dev.sotto.EncodedContext
import dev.sotto.EnergyRail
import dev.sotto.FileOpener
import dev.sotto.GovernorOptions
import dev.sotto.ImportSource
import dev.sotto.Language
import dev.sotto.LiveGovernor
import dev.sotto.LogLevel
import dev.sotto.ModelSource
import dev.sotto.ModelState
import dev.sotto.ModelStore
import dev.sotto.ModelTier
import dev.sotto.ModelTransport
import dev.sotto.OpenFile
import dev.sotto.PackOptions
import dev.sotto.PackedWeights
import dev.sotto.PcmChunk
import dev.sotto.PcmFormat
import dev.sotto.PowerSource
import dev.sotto.ProfileClip
import dev.sotto.ProfileOptions
import dev.sotto.ProfileReport
import dev.sotto.ProfileValidity
import dev.sotto.PromptReach
import dev.sotto.PullOptions
import dev.sotto.SampleEncoding
import dev.sotto.SearchOptions
import dev.sotto.SessionOptions
import dev.sotto.Sotto
import dev.sotto.SottoSettings
import dev.sotto.SpeechEvent
import dev.sotto.SpeechException
import dev.sotto.SpeechRecognizer
import dev.sotto.SpeechTask
import dev.sotto.SpentTime
import dev.sotto.StoreException
import dev.sotto.SubtitleFormat
import dev.sotto.SubtitleOptions
import dev.sotto.Subtitles
import dev.sotto.TextMetrics
import dev.sotto.ThermalState
import dev.sotto.TimestampDetail
import dev.sotto.TranscriptionEvent
import dev.sotto.TranscriptionOptions
import dev.sotto.TransportException
import dev.sotto.TrimLevel
import dev.sotto.VoiceActivity
import dev.sotto.VoiceEvent
import kotlinx.coroutines.flow.flowOf
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeoutOrNull
import java.io.File
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.file.Files

/**
 * An app that calls every function of Sotto once and says so. It is put through R8 in full mode; what R8 took away or
 * renamed without being told fails here.
 */
public fun main(arguments: Array<String>): Unit = runBlocking {
    val (model, recording) = arguments.map { File(it) }
    App(ModelSource.file(model), AudioSource.file(recording), model, recording).run()
    println("every function was called")
}

private class App(
    private val source: ModelSource,
    private val audio: AudioSource,
    private val model: File,
    private val recording: File,
) {
    suspend fun run() {
        library()
        governor()
        Sotto(SottoSettings(threads = 2, memoryLimit = 500_000_000)).use { engine ->
            engine(engine)
            engine.loadSpeech(source) { progress -> progress.fraction }.use { recognizer ->
                check(!recognizer.info().multilingual)
                check(recognizer.detectLanguage(audio).code == "en")
                transcription(engine, recognizer)
                sessions(recognizer)
                adaptive(engine, recognizer)
                futures(engine, recognizer)
                errors(recognizer)
                recognizer.unload()
            }
            states(engine)
            packing(engine)
            profile(engine)
            val folder = Files.createTempDirectory("sotto").toFile()
            engine.openStore(folder).use { store(engine, it) }
            folder.deleteRecursively()
        }
    }

    private fun governor() {
        val options = GovernorOptions(threads = 2, tiers = listOf(ModelTier("base", 1.0), ModelTier("tiny", 0.5)))
        LiveGovernor(options).use {
            val first = it.decide(0.0, DeviceReading(thermal = ThermalState.Nominal, power = PowerSource.Battery))
            it.decide(1.0, DeviceReading(thermal = ThermalState.Critical), 1.0, SpentTime(0.1, first.setting))
        }
    }

    private fun adaptive(engine: Sotto, recognizer: SpeechRecognizer) {
        engine.push(DeviceReading(thermal = ThermalState.Serious, rails = listOf(EnergyRail("cpu", 1))))
        recognizer.startSession(SessionOptions(adaptive = true)).use {
            check(engine.adapted()!!.run { setting.stepSeconds > 1.1 && why == "start" })
        }
        val traced = Sotto.setTracing(true)
        check(Sotto.setTracing(true) == traced && Sotto.setTracing(false))
    }

    private suspend fun states(engine: Sotto) = engine.speechModel(source).use { model ->
        check(model.state.value == ModelState.NotLoaded)
        check(model.load().info().windowSeconds > 0 && model.state.value == ModelState.Ready)
        engine.trim(TrimLevel.Idle)
        check(model.state.value == ModelState.Unloaded && model.loadAsync().get() != null)
        model.unload()
        engine.speechModel(ModelSource.file("nowhere")).use { missing ->
            expect<SpeechException> { missing.load() }
            check((missing.state.value as ModelState.Failed).problem.nextStep.isNotEmpty())
        }
    }

    private suspend fun packing(engine: Sotto) {
        // Packed already.
        expect<SpeechException> { engine.pack(source, File("unused.sotto"), PackOptions(PackedWeights.Int4)) }
    }

    private suspend fun profile(engine: Sotto) {
        val clips = listOf(ProfileClip("demo", audio, "good morning"))
        val options = ProfileOptions("starter", "desk", "Linux", laterLoads = 1, warmRuns = 1, sustainedSeconds = 0.1)
        engine.profileSpeech(source, clips, options).use { profile ->
            profile.push(DeviceReading(rails = listOf(EnergyRail("cpu", 1))))
            profile.endEarly()
            val report = profile.report()
            check(report.validity != ProfileValidity.Valid && "<html" in report.page())
            check("<html" in ProfileReport.comparison(report.json, report.json))
        }
    }

    private suspend fun store(engine: Sotto, store: ModelStore) {
        val imported = store.import(ImportSource.file(model), "captions@one") { progress -> progress.done }
        check(store.list() == listOf(imported.model))
        check(store.activate("captions", "one").active && store.verify("captions") > 0)
        engine.loadSpeech(store.source("captions")).close()
        val nowhere = PullOptions(endpoint = "http://127.0.0.1:9")
        failed<StoreException.Network> { store.pull("owner/name", nowhere) }
        failed<StoreException.Network> {
            val offline = ModelTransport { _, _ ->
                throw TransportException(TransportException.Problem.Offline, "offline")
            }
            store.pull("owner/name", nowhere, offline)
        }
        failed<StoreException.NotFound> { store.rollback("captions") }
        check(store.remove("captions") > 0 && store.listAsync().get().isEmpty())
    }

    private suspend inline fun <reified E : StoreException> failed(call: suspend () -> Unit) {
        try {
            call()
        } catch (failure: StoreException) {
            check(failure is E && failure.nextStep.isNotEmpty()) { "$failure" }
            return
        }
        error("nothing was thrown")
    }

    private fun library() {
        check(Sotto.version.isNotEmpty() && Sotto.processor.threads > 0)
        Sotto.setLogLevel(LogLevel.Off)
        Sotto.configure(SottoSettings(threads = 1))
        check(Sotto.shared.models().isEmpty())
        check(TextMetrics.sentences("One. Two.").size == 2)
        check(TextMetrics.wordErrors("a b", "a").deletions == 1L)
        check(TextMetrics.characterErrors("ab", "a").deletions == 1L)
        check(TextMetrics.normalizeEnglish("A B!") == "a b")
    }

    private suspend fun engine(engine: Sotto) {
        check(engine.estimateSpeech(source).peak > 0)
        check(engine.findSpeech(audio, VoiceActivity(threshold = 0.5f)).toList().last() is VoiceEvent.Finished)
        engine.trim(TrimLevel.Idle)
        check(engine.memory().limit == 500_000_000L)
        check(engine.takeCacheProblem() == null)
        engine.loadSpeech(ModelSource.bytes(model.readBytes(), "model")).close()
    }

    private suspend fun transcription(engine: Sotto, recognizer: SpeechRecognizer) {
        val options = TranscriptionOptions(
            language = Language.of("en"), task = SpeechTask.Transcribe, timestamps = TimestampDetail.Word,
            search = SearchOptions(beam = 2), prompt = "A train.", promptReach = PromptReach.First,
            hotwords = listOf("umbrella"), voiceActivity = VoiceActivity(), context = EncodedContext.TrueLength,
        )
        val events = recognizer.transcription(audio, options, AudioChannel.Mix).toList()
        val transcript = (events.last() as TranscriptionEvent.Finished).transcript
        check("airport" in transcript.text && transcript.segments.any { it.words.isNotEmpty() }) { transcript.text }
        check(engine.models().any { it.handles == 1 })
        check("-->" in Subtitles.write(transcript.segments, SubtitleFormat.Vtt))
        check(Subtitles.cues(transcript.segments, SubtitleOptions(maxLineLength = 20)).isNotEmpty())
        recognizer.transcribe(AudioSource.bytes(recording.readBytes())) { progress -> progress.done }
        recognizer.transcribe(AudioSource.samples(ShortArray(1600)))
        recognizer.transcribe(AudioSource.samples(FloatArray(1600)))
        recognizer.transcribe(AudioSource.pcm(ByteArray(3200), PcmFormat()))
    }

    private suspend fun sessions(recognizer: SpeechRecognizer) {
        recognizer.stream(flowOf(PcmChunk(ShortArray(1600)))).toList()
        val format = PcmFormat(SampleEncoding.Float32, rate = 48_000, channels = 2)
        recognizer.startSession(SessionOptions(step = 1.0, trim = 5.0), format).use { session ->
            session.push(FloatArray(9600))
            session.push(ByteArray(16))
            session.push(ByteBuffer.allocateDirect(16))
            withTimeoutOrNull(10) { session.nextEvent() }
            session.finish()
            check(session.events().toList().none { it is SpeechEvent.Final })
            // Not by the slow way behind it: the name of the quick one is what R8 would change.
            check(Native.registered(Class.forName("dev.sotto.internal.DirectPush")))
            session.cancel()
        }
    }

    private fun futures(engine: Sotto, recognizer: SpeechRecognizer) {
        engine.loadSpeechAsync(source).get().close()
        check(engine.estimateSpeechAsync(source).get().model > 0)
        check("airport" in recognizer.transcribeAsync(audio).get().text)
        check(recognizer.detectLanguageAsync(audio).get().code == "en")
        recognizer.startSession().use { session ->
            session.finish()
            check(session.nextEventAsync().get() == null)
        }
    }

    private suspend fun errors(recognizer: SpeechRecognizer) {
        expect<SpeechException.InvalidOption> {
            recognizer.transcribe(audio, TranscriptionOptions(task = SpeechTask.Translate))
        }
        expect<SpeechException.InvalidAudio> { recognizer.transcribe(AudioSource.file("/nowhere")) }
        expect<SpeechException.InvalidAudio> {
            recognizer.transcribe(AudioSource.descriptor("asset", FileOpener { throw IOException("compressed") }))
        }
        expect<SpeechException> { recognizer.transcribe(AudioSource.descriptor("closed") { OpenFile(9_999, 0, 1) }) }
        expect<SpeechException.Ended> { recognizer.startSession().apply { close() }.push(ShortArray(2)) }
    }

    private suspend inline fun <reified E : SpeechException> expect(call: suspend () -> Unit) {
        try {
            call()
        } catch (failure: SpeechException) {
            check(failure is E && failure.code.isNotEmpty() && failure.nextStep.isNotEmpty()) { "$failure" }
            return
        }
        error("nothing was thrown")
    }
}

package dev.sotto.samples

import dev.sotto.AudioSource
import dev.sotto.DeviceReading
import dev.sotto.ImportSource
import dev.sotto.Language
import dev.sotto.ModelSource
import dev.sotto.ModelState
import dev.sotto.PcmChunk
import dev.sotto.ProfileClip
import dev.sotto.ProfileOptions
import dev.sotto.ProfileReport
import dev.sotto.SessionOptions
import dev.sotto.Sotto
import dev.sotto.SottoException
import dev.sotto.SottoSettings
import dev.sotto.SpeechEvent
import dev.sotto.SpeechException
import dev.sotto.SpeechRecognizer
import dev.sotto.SubtitleFormat
import dev.sotto.Subtitles
import dev.sotto.ThermalState
import dev.sotto.TimestampDetail
import dev.sotto.TranscriptionEvent
import dev.sotto.TranscriptionOptions
import dev.sotto.VoiceEvent
import kotlinx.coroutines.async
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.launch
import java.io.File

// The samples of the documentation. SamplesTest runs every one of them.

suspend fun transcribeFile(model: File, recording: File): String {
    val recognizer = SpeechRecognizer.load(ModelSource.file(model))
    return recognizer.use { it.transcribe(AudioSource.file(recording)).text }
}

suspend fun liveCaptions(recognizer: SpeechRecognizer, microphone: Flow<PcmChunk>): String {
    val final = StringBuilder()
    recognizer.stream(microphone).collect { event ->
        when (event) {
            is SpeechEvent.Volatile -> println("${final}…${event.text.text}") // grey: it may change
            is SpeechEvent.Final -> final.append(event.text.text) // black: it will not
        }
    }
    return final.toString()
}

suspend fun transcribeWithProgress(recognizer: SpeechRecognizer, recording: File): List<String> {
    val lines = mutableListOf<String>()
    recognizer.transcription(AudioSource.file(recording)).collect { event ->
        when (event) {
            is TranscriptionEvent.Working -> println("${(event.progress.fraction ?: 0.0) * 100} %")
            is TranscriptionEvent.Recognized -> lines += event.segment.text.trim()
            is TranscriptionEvent.Finished -> println("${event.transcript.duration} s of ${event.transcript.language}")
        }
    }
    return lines
}

suspend fun liveSession(recognizer: SpeechRecognizer, samples: ShortArray): String = coroutineScope {
    recognizer.startSession(SessionOptions(step = 1.5)).use { session ->
        val text = async {
            buildString { session.events().collect { if (it is SpeechEvent.Final) append(it.text.text) } }
        }
        for (start in samples.indices step 320) session.push(samples, start, minOf(320, samples.size - start))
        session.finish()
        text.await()
    }
}

suspend fun ownEngine(model: File): Long {
    val engine = Sotto(SottoSettings(threads = 2, memoryLimit = 300_000_000))
    return engine.use {
        it.loadSpeech(ModelSource.file(model)).use { recognizer ->
            println("multilingual: ${recognizer.info().multilingual}")
            it.memory().used
        }
    }
}

suspend fun loadWithProgress(engine: Sotto, model: File): SpeechRecognizer =
    engine.loadSpeech(ModelSource.file(model)) { progress -> println("${progress.done} of ${progress.total} weights") }

suspend fun findSpeech(engine: Sotto, recording: File): Double {
    var seconds = 0.0
    engine.findSpeech(AudioSource.file(recording)).collect { event ->
        if (event is VoiceEvent.Speech) seconds += event.end - event.start
    }
    return seconds
}

suspend fun options(recognizer: SpeechRecognizer, recording: File): String {
    val options = TranscriptionOptions(
        language = Language.of("en"),
        timestamps = TimestampDetail.Word,
        prompt = "A talk about travelling.",
        hotwords = listOf("umbrella"),
    )
    val transcript = recognizer.transcribe(AudioSource.file(recording), options)
    return transcript.segments.flatMap { it.words }.joinToString("\n") { "${it.start} ${it.text.trim()}" }
}

suspend fun subtitles(recognizer: SpeechRecognizer, recording: File): String {
    val transcript = recognizer.transcribe(AudioSource.file(recording))
    return Subtitles.write(transcript.segments, SubtitleFormat.Srt)
}

suspend fun errors(model: File): String = try {
    SpeechRecognizer.load(ModelSource.file(model)).use { "loaded" }
} catch (error: SpeechException) {
    when (error) {
        is SpeechException.OutOfBudget -> "choose a smaller model: ${error.needed} bytes are needed"
        is SpeechException.InvalidModel -> "fetch the model again: ${error.reason}"
        else -> error.nextStep
    }
} catch (error: SottoException) {
    "${error.code}: ${error.reason}"
}

suspend fun store(engine: Sotto, folder: File, download: File): String =
    engine.openStore(folder).use { store ->
        store.import(ImportSource.file(download), name = "captions@1", licence = "MIT")
        println(store.list().joinToString { "${it.name} ${it.version}: ${it.bytes} bytes" })
        engine.loadSpeech(store.source("captions")).use { "loaded" }
    }

suspend fun profile(engine: Sotto, model: File, recording: File): ProfileReport {
    val clips = listOf(ProfileClip("demo", AudioSource.file(recording), text = "Good morning."))
    val options = ProfileOptions("starter", device = "desk", system = "Linux", warmRuns = 1, sustainedSeconds = 0.1)
    return engine.profileSpeech(ModelSource.file(model), clips, options).use { profile ->
        profile.push(DeviceReading(thermal = ThermalState.Nominal, batteryLevel = 0.8))
        profile.report()
    }
}

suspend fun modelState(engine: Sotto, file: File, recording: File, draw: (String) -> Unit): String = coroutineScope {
    engine.speechModel(ModelSource.file(file)).use { model ->
        val drawing = launch {
            model.state.collect { state ->
                when (state) {
                    ModelState.NotLoaded, ModelState.Unloaded -> draw("not loaded")
                    is ModelState.Loading -> draw("${((state.progress?.fraction ?: 0.0) * 100).toInt()} %")
                    ModelState.Ready -> draw("ready")
                    is ModelState.Failed -> draw(state.problem.nextStep)
                }
            }
        }
        val text = model.load().transcribe(AudioSource.file(recording)).text
        drawing.cancel()
        text
    }
}

suspend fun adaptiveSession(engine: Sotto, recognizer: SpeechRecognizer, microphone: Flow<PcmChunk>): String {
    // On Android SottoLifecycle tells the engine whenever something changes.
    engine.push(DeviceReading(thermal = ThermalState.Serious, batteryLevel = 0.3))
    val final = StringBuilder()
    recognizer.stream(microphone, options = SessionOptions(adaptive = true)).collect { event ->
        if (event is SpeechEvent.Final) final.append(event.text.text)
        engine.adapted()?.let { println("every ${it.setting.stepSeconds} s, because of ${it.why}") }
    }
    return final.toString()
}

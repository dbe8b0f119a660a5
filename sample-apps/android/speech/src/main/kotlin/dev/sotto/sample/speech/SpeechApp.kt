package dev.sotto.sample.speech

import android.app.Application
import dev.sotto.Sotto
import dev.sotto.SottoSettings
import dev.sotto.android.AndroidModels
import dev.sotto.android.Microphone
import dev.sotto.android.SottoLifecycle
import kotlinx.coroutines.MainScope
import java.io.File

/** What outlives the screen: the engine, and what the three pages show. Turning the device interrupts nothing. */
class SpeechApp : Application() {
    private val scope = MainScope()

    /** Threads and memory of all models. Fetched models are kept packed in the caches, so that they load fast. */
    val engine by lazy {
        val settings = SottoSettings(cacheFolder = File(cacheDir, "packed").path)
        Sotto(settings).also { SottoLifecycle.attach(this, it) }
    }

    /** The model that is there from the start. */
    var starter = { AndroidModels.starter(this) }

    /** Where captions come from: the microphone. Tests play a recording instead. */
    var listen: () -> Sound = {
        val microphone = Microphone(this)
        Sound(microphone.chunks(), microphone.format)
    }

    val models by lazy {
        Models(
            scope = scope,
            engine = { engine },
            folder = File(noBackupFilesDir, "models"),
            starter = { starter() },
            preferences = getSharedPreferences("models", MODE_PRIVATE),
        )
    }

    /** A new process has new ones, which the activity gives back what it kept. */
    var captions = newCaptions()

    val recording by lazy { Recording(scope, load = { models.load() }) }

    fun newCaptions() = Captions(scope, load = { models.load() }, listen = { listen() })
}

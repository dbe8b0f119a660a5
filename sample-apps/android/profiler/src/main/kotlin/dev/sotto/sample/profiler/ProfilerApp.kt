package dev.sotto.sample.profiler

import android.app.Application
import android.os.Build
import dev.sotto.ProfileClip
import dev.sotto.ProfileOptions
import dev.sotto.Sotto
import dev.sotto.android.AndroidAudio
import dev.sotto.android.AndroidModels
import dev.sotto.android.DeviceMonitor
import kotlinx.coroutines.MainScope

/** What outlives the screen: a measurement takes minutes, and turning the device must not end it. */
class ProfilerApp : Application() {
    /** How is measured. Tests do it in a second. */
    var options = ProfileOptions(
        model = "starter",
        device = "${Build.MANUFACTURER} ${Build.MODEL}",
        system = "Android ${Build.VERSION.RELEASE}",
        emulated = Build.HARDWARE in setOf("goldfish", "ranchu"),
    )

    /** What is measured, and with which recording: both lie in the package. */
    var model = { AndroidModels.starter(this) }
    var recording = { AndroidAudio.asset(this, "demo.flac") }

    val profiler by lazy {
        val monitor = DeviceMonitor(this)
        Profiler(MainScope(), readings = monitor.readings()) {
            val clip = ProfileClip("demo", recording(), SAID)
            Sotto.shared.profileSpeech(model(), listOf(clip), options)
        }
    }

    private companion object {
        /** What is said in the recording: the report then has word errors, too. */
        const val SAID =
            "Good morning. The train to the airport leaves at a quarter past nine. Please do not forget your umbrella."
    }
}

package dev.sotto.sample.profiler

import android.app.Application
import android.os.Build
import dev.sotto.AudioSource
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

    val profiler by lazy {
        val monitor = DeviceMonitor(this)
        Profiler(MainScope(), readings = monitor.readings()) {
            val clip = ProfileClip("demo", demo(), SAID)
            Sotto.shared.profileSpeech(AndroidModels.starter(this), listOf(clip), options)
        }
    }

    private fun demo(): AudioSource = AndroidAudio.asset(this, "demo.flac")

    private companion object {
        /** What is said in the recording: the report then has word errors, too. */
        const val SAID =
            "Good morning. The train to the airport leaves at a quarter past nine. Please do not forget your umbrella."
    }
}

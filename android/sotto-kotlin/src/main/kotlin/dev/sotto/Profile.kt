package dev.sotto

import dev.sotto.internal.NativeLibrary
import dev.sotto.internal.decision
import dev.sotto.internal.native
import dev.sotto.internal.speech
import dev.sotto.internal.speechSuspending
import dev.sotto.internal.validity
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.onCompletion
import kotlinx.coroutines.future.future
import java.util.concurrent.CompletableFuture
import java.util.concurrent.atomic.AtomicBoolean
import dev.sotto.ffi.LiveGovernor as NativeGovernor
import dev.sotto.ffi.ProfileEvent as NativeProfileEvent
import dev.sotto.ffi.SpeechProfile as NativeProfile

/** How warm a device is. */
public enum class ThermalState {
    /** Nothing slows it. */
    Nominal,

    /** A little warm. */
    Fair,

    /** The system slows down. */
    Serious,

    /** The app must do less. */
    Critical,
}

/** Where a device's power comes from. */
public enum class PowerSource {
    /** The battery alone. */
    Battery,

    /** A charger, and the battery is charged. */
    Charging,

    /** A charger, and the battery is full or held. */
    Plugged,

    /** A device without a battery. */
    Mains,
}

/**
 * A cumulative counter of energy.
 *
 * @property name what it feeds
 * @property microjoules since some moment
 */
public data class EnergyRail(public val name: String, public val microjoules: Long)

/**
 * What the platform knows of its device at a moment. What is `null` is not known. `DeviceMonitor` of `sotto-android`
 * makes them.
 *
 * @property thermal how warm it is
 * @property headroom Android's thermal headroom: 1 is where the system begins to slow down severely
 * @property temperature of the battery, in degrees Celsius
 * @property power where its power comes from
 * @property batteryLevel charge of the battery, 0 to 1
 * @property currentMicroamperes current of the battery, as the platform gives it: unit and sign are checked by the
 *   library
 * @property voltageMillivolts voltage of the battery
 * @property lowPower whether the system saves power
 * @property background whether the app is in the background
 * @property residentBytes bytes that the process holds, where the library cannot see that itself
 * @property clockMhz clock of the fastest core
 * @property rails counters of energy that do not overlap
 */
public data class DeviceReading @JvmOverloads constructor(
    public val thermal: ThermalState? = null,
    public val headroom: Double? = null,
    public val temperature: Double? = null,
    public val power: PowerSource? = null,
    public val batteryLevel: Double? = null,
    public val currentMicroamperes: Long? = null,
    public val voltageMillivolts: Long? = null,
    public val lowPower: Boolean? = null,
    public val background: Boolean? = null,
    public val residentBytes: Long? = null,
    public val clockMhz: Double? = null,
    public val rails: List<EnergyRail> = emptyList(),
)

/**
 * A recording to profile with.
 *
 * @property name name for the report
 * @property audio the recording; decoded before anything is measured
 * @property text what is said in it, where that is known: the report then has word errors
 */
public class ProfileClip @JvmOverloads constructor(
    public val name: String,
    public val audio: AudioSource,
    public val text: String? = null,
)

/**
 * How a model is profiled.
 *
 * @property model name of the model for the report
 * @property device name of the device
 * @property system operating system and its version
 * @property emulated whether it is an emulator
 * @property laterLoads loads after the first
 * @property warmRuns warm runs of each clip; three are the least for a valid profile
 * @property sustainedSeconds seconds of the sustained phase; 300 are the least for a valid profile
 */
public data class ProfileOptions @JvmOverloads constructor(
    public val model: String,
    public val device: String,
    public val system: String,
    public val emulated: Boolean = false,
    public val laterLoads: Int = 3,
    public val warmRuns: Int = 5,
    public val sustainedSeconds: Double = 300.0,
)

/** Whether a profile can be compared with others. */
public enum class ProfileValidity {
    /** Yes. */
    Valid,

    /** With care. */
    Semivalid,

    /** No. */
    Invalid,
}

/**
 * What profiling found.
 *
 * @property json the report; `docs/PROFILING.md` explains it
 * @property validity whether it can be compared with others
 * @property reasons why not, in words
 */
public data class ProfileReport(
    public val json: String,
    public val validity: ProfileValidity,
    public val reasons: List<String>,
) {
    /** The report as one page of HTML that needs nothing beside it: plots, figures, the verdict. */
    @Throws(SpeechException::class)
    public fun page(): String = page(json)

    /** Pages of reports that were stored. */
    public companion object {
        /**
         * A report of this or another device as one page of HTML.
         *
         * @throws SpeechException.InvalidOption for what is not a report
         */
        @JvmStatic
        @Throws(SpeechException::class)
        public fun page(json: String): String {
            NativeLibrary.ensure()
            return speech { dev.sotto.ffi.profilePage(json) }
        }

        /** Two reports side by side, with their differences, as one page of HTML. */
        @JvmStatic
        @Throws(SpeechException::class)
        public fun comparison(first: String, second: String): String {
            NativeLibrary.ensure()
            return speech { dev.sotto.ffi.profileComparison(first, second) }
        }
    }
}

/** What happens while a model is profiled. */
public sealed interface ProfileEvent {
    /**
     * How far it has come.
     *
     * @property doneMs milliseconds of the plan that are done
     * @property totalMs milliseconds of the plan; `null` where they are not known
     */
    public data class Working(public val doneMs: Long, public val totalMs: Long?) : ProfileEvent

    /**
     * The end.
     *
     * @property report what was found
     */
    public data class Finished(public val report: ProfileReport) : ProfileEvent
}

/**
 * A model that is being profiled. It runs until its events end; [close] stops it.
 *
 * @sample dev.sotto.samples.profile
 */
public class SpeechProfile internal constructor(
    private val native: NativeProfile,
    private val engine: Sotto,
) : AutoCloseable {
    private val closed = AtomicBoolean()

    /** Hands in what the platform knows of its device now. Once a second is enough. */
    @Throws(SpeechException::class)
    public fun push(reading: DeviceReading): Unit = speech(NAME) { native.pushReading(reading.native()) }

    /** Ends the sustained phase: the report is made of what was measured until then. */
    @Throws(SpeechException::class)
    public fun endEarly(): Unit = speech(NAME) { native.endEarly() }

    /** The events until the report. */
    public fun events(): Flow<ProfileEvent> = flow<ProfileEvent> {
        while (true) {
            when (val event = speechSuspending(NAME) { native.nextEvent() } ?: break) {
                is NativeProfileEvent.Progress -> emit(ProfileEvent.Working(event.done.toLong(), event.total?.toLong()))
                is NativeProfileEvent.Finished ->
                    emit(ProfileEvent.Finished(ProfileReport(event.json, event.validity.validity(), event.reasons)))
            }
        }
        // It has unloaded its model on the way.
    }.onCompletion { engine.lookAtModels() }

    /** Waits for the report. */
    @JvmSynthetic
    public suspend fun report(): ProfileReport {
        var report: ProfileReport? = null
        events().collect { if (it is ProfileEvent.Finished) report = it.report }
        return report ?: throw SpeechException.Ended("the report was given already", "profile again")
    }

    /** [report] for Java. */
    public fun reportAsync(): CompletableFuture<ProfileReport> = engine.scope.future { report() }

    /** Stops without a report. May be called again. */
    override fun close() {
        if (!closed.compareAndSet(false, true)) return
        native.cancel()
        native.close()
    }

    private companion object {
        const val NAME = "the profile"
    }
}

/**
 * A model that the governor may choose.
 *
 * @property name its name in the app
 * @property cost time that it takes, relative to the best one's
 * @property wordErrorRate where it is known
 */
public data class ModelTier @JvmOverloads constructor(
    public val name: String,
    public val cost: Double,
    public val wordErrorRate: Double? = null,
)

/**
 * What the governor chooses from and may not go below.
 *
 * @property threads most threads, usually the big cores; 0 for those of this device
 * @property tiers models, the best first; empty for one
 * @property worstTier the last tier that may be chosen, counted from 0; `null`: all may
 * @property worstWordErrorRate tiers with more word errors than this may not be chosen either
 */
public data class GovernorOptions @JvmOverloads constructor(
    public val threads: Int = 0,
    public val tiers: List<ModelTier> = emptyList(),
    public val worstTier: Int? = null,
    public val worstWordErrorRate: Double? = null,
)

/**
 * What to compute with.
 *
 * @property threads threads
 * @property tier index of the model among the tiers
 * @property stepSeconds seconds of new voice after which live text is decoded again; the session's own
 *   [SessionOptions.step] where that is longer
 */
public data class GovernedSetting(
    public val threads: Int,
    public val tier: Int,
    public val stepSeconds: Double,
)

/**
 * What a step of live text took.
 *
 * @property seconds seconds of computing
 * @property setting the setting that it was computed with
 */
public data class SpentTime(public val seconds: Double, public val setting: GovernedSetting)

/**
 * A decision of the governor.
 *
 * @property setting what to compute with from now on
 * @property why why, in a word: `start`, `stay`, `deadline`, `heat`, `battery`, `relaxed`
 * @property meetsDeadline whether the deadline is expected to be met
 */
public data class GovernorDecision(
    public val setting: GovernedSetting,
    public val why: String,
    public val meetsDeadline: Boolean,
)

/**
 * Chooses how hard live text may work, by heat, battery and measured speed. No clock inside: the same inputs give the
 * same decisions. `SottoLifecycle` of `sotto-android` has one that listens to the system.
 */
public class LiveGovernor @JvmOverloads constructor(options: GovernorOptions = GovernorOptions()) : AutoCloseable {
    private val native: NativeGovernor

    init {
        NativeLibrary.ensure()
        native = speech { NativeGovernor(options.native()) }
    }

    /**
     * What to compute with from now on. Microseconds.
     *
     * @param atSeconds seconds from any origin; never falls
     * @param reading how warm the device is, its battery and its power
     * @param deadlineSeconds seconds that a step may take until its text is there
     * @param spent what the last step took, if there was one since the last decision
     */
    @JvmOverloads
    @Throws(SpeechException::class)
    public fun decide(
        atSeconds: Double,
        reading: DeviceReading,
        deadlineSeconds: Double = 1.0,
        spent: SpentTime? = null,
    ): GovernorDecision = speech("the governor") {
        val input = dev.sotto.ffi.GovernorInput(atSeconds, reading.native(), deadlineSeconds, spent?.native())
        native.decide(input).decision()
    }

    /** Lets go of it. */
    override fun close(): Unit = native.close()
}

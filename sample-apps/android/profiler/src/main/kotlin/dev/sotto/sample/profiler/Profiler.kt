package dev.sotto.sample.profiler

import dev.sotto.DeviceReading
import dev.sotto.ProfileEvent
import dev.sotto.ProfileReport
import dev.sotto.SottoException
import dev.sotto.SpeechProfile
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.flow.update
import kotlinx.coroutines.launch

/** What is known of a measurement. [part] is from 0 to 1. */
data class ProfilerState(
    val working: Boolean = false,
    val part: Double = 0.0,
    val report: ProfileReport? = null,
    val problem: SottoException? = null,
)

/**
 * Profiles a model on this device. On the main thread.
 *
 * @param readings what the system says of the device, about once a second
 * @param begin starts the profile
 */
class Profiler(
    private val scope: CoroutineScope,
    private val readings: Flow<DeviceReading>,
    private val begin: suspend () -> SpeechProfile,
) {
    private val states = MutableStateFlow(ProfilerState())
    private var job: Job? = null
    private var profile: SpeechProfile? = null

    val state: StateFlow<ProfilerState> = states.asStateFlow()

    fun start() {
        if (job?.isActive == true) return
        states.value = ProfilerState(working = true)
        job = scope.launch { run() }
    }

    /** Ends early: the report is made of what was measured until now, and says that it is short. */
    fun endEarly() {
        profile?.endEarly()
    }

    /** Stops without a report. */
    fun stop() {
        job?.cancel()
    }

    private suspend fun run() {
        try {
            begin().use { profile ->
                this.profile = profile
                measure(profile)
            }
        } catch (failure: SottoException) {
            states.update { it.copy(problem = failure) }
        } finally {
            profile = null
            states.update { it.copy(working = false) }
        }
    }

    private suspend fun measure(profile: SpeechProfile) = coroutineScope {
        val handingIn = launch { readings.collect { profile.push(it) } }
        profile.events().collect { event ->
            when (event) {
                is ProfileEvent.Working -> states.update { it.copy(part = part(event)) }
                is ProfileEvent.Finished -> states.update { it.copy(report = event.report) }
            }
        }
        handingIn.cancel()
    }

    private fun part(event: ProfileEvent.Working): Double {
        val total = event.totalMs ?: return 0.0
        return if (total > 0) (event.doneMs.toDouble() / total).coerceIn(0.0, 1.0) else 0.0
    }
}

package dev.sotto.android

import android.annotation.TargetApi
import android.content.Context
import android.os.Build
import android.os.OutcomeReceiver
import android.os.PowerMonitor
import android.os.PowerMonitorReadings
import android.os.health.SystemHealthManager
import dev.sotto.EnergyRail
import java.util.concurrent.Executor
import kotlin.coroutines.resume
import kotlinx.coroutines.suspendCancellableCoroutine
import kotlinx.coroutines.withTimeoutOrNull

/** Energy counters of parts of the device, from Android 15 on. Devices without them have none. */
@TargetApi(Build.VERSION_CODES.VANILLA_ICE_CREAM)
internal class PowerRails private constructor(private val health: SystemHealthManager) {
    // What the callbacks do is resume a coroutine, which needs no thread of its own.
    private val here = Executor { it.run() }

    @Volatile
    private var monitors: List<PowerMonitor>? = null

    /** Microjoules of each part since the device was started. */
    suspend fun read(): List<EnergyRail> {
        val monitors = monitors ?: supported().also { monitors = it }
        if (monitors.isEmpty()) return emptyList()
        val readings = waited<PowerMonitorReadings?>(null) { give -> ask(monitors, give) } ?: return emptyList()
        return monitors.mapNotNull { monitor ->
            val energy = readings.getConsumedEnergy(monitor)
            if (energy < 0) null else EnergyRail(monitor.name, energy)
        }
    }

    private suspend fun supported(): List<PowerMonitor> = waited(emptyList()) { give ->
        health.getSupportedPowerMonitors(here) { found ->
            // Only these: a consumer's counter contains parts of several rails.
            give(found.filter { it.type == PowerMonitor.POWER_MONITOR_TYPE_MEASUREMENT })
        }
    }

    private fun ask(monitors: List<PowerMonitor>, give: (PowerMonitorReadings?) -> Unit) {
        val receiver = object : OutcomeReceiver<PowerMonitorReadings, RuntimeException> {
            override fun onResult(readings: PowerMonitorReadings) = give(readings)

            override fun onError(error: RuntimeException) = give(null)
        }
        health.getPowerMonitorReadings(monitors, here, receiver)
    }

    /** What the system answers, or [otherwise] where it does not within a second. */
    private suspend fun <T> waited(otherwise: T, ask: ((T) -> Unit) -> Unit): T = withTimeoutOrNull(1000) {
        suspendCancellableCoroutine { waiting ->
            try {
                ask { answer -> if (waiting.isActive) waiting.resume(answer) }
            } catch (_: RuntimeException) {
                // Makers leave the service out.
                if (waiting.isActive) waiting.resume(otherwise)
            }
        }
    } ?: otherwise

    companion object {
        fun of(context: Context): PowerRails? {
            if (Build.VERSION.SDK_INT < Build.VERSION_CODES.VANILLA_ICE_CREAM) return null
            return context.getSystemService(SystemHealthManager::class.java)?.let { PowerRails(it) }
        }
    }
}

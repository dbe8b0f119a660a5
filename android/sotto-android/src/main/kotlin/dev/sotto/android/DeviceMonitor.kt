package dev.sotto.android

import android.app.ActivityManager
import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.os.BatteryManager
import android.os.Build
import android.os.PowerManager
import dev.sotto.DeviceReading
import dev.sotto.EnergyRail
import dev.sotto.PowerSource
import dev.sotto.ThermalState
import java.io.File
import java.io.IOException
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.flowOn

/**
 * What Android tells of heat, battery and energy, for profiles and for the governor. It needs no permission. What a
 * device does not tell is `null`; units and signs of the current differ between devices and are checked by the library.
 */
public class DeviceMonitor(context: Context) {
    private val context = context.applicationContext
    private val power = this.context.getSystemService(PowerManager::class.java)
    private val battery = this.context.getSystemService(BatteryManager::class.java)
    private val rails = PowerRails.of(this.context)

    /**
     * What is known now, but for energy counters, which Android gives only to those who wait. Calls of the system: a
     * millisecond.
     */
    public fun read(): DeviceReading = reading(emptyList())

    /**
     * Readings with energy counters (Android 15 and later), the first one at once. Cold; stops when nobody collects.
     */
    @JvmOverloads
    public fun readings(everyMs: Long = 1000): Flow<DeviceReading> = flow {
        require(everyMs > 0) { "everyMs is $everyMs, must be above 0" }
        while (true) {
            emit(reading(rails?.read().orEmpty()))
            delay(everyMs)
        }
    }.flowOn(Dispatchers.IO)

    private fun reading(rails: List<EnergyRail>): DeviceReading {
        // Sticky: the last one comes back at once, and nothing is registered.
        val status = context.registerReceiver(null, IntentFilter(Intent.ACTION_BATTERY_CHANGED))
        return DeviceReading(
            thermal = thermal(),
            headroom = headroom(),
            temperature = status?.number(BatteryManager.EXTRA_TEMPERATURE)?.let { it / 10.0 },
            power = status?.let(::source),
            batteryLevel = status?.let(::level),
            currentMicroamperes = current(),
            voltageMillivolts = status?.number(BatteryManager.EXTRA_VOLTAGE)?.toLong(),
            lowPower = power?.isPowerSaveMode,
            background = background(),
            clockMhz = clock(),
            rails = rails,
        )
    }

    private fun thermal(): ThermalState? {
        if (power == null || Build.VERSION.SDK_INT < Build.VERSION_CODES.Q) return null
        return thermalState(power.currentThermalStatus)
    }

    private fun headroom(): Double? {
        if (power == null || Build.VERSION.SDK_INT < Build.VERSION_CODES.R) return null
        // Not a number where it is asked too often or the device has no sensor for it.
        return power.getThermalHeadroom(FORECAST_SECONDS).toDouble().takeIf { it.isFinite() }
    }

    private fun source(status: Intent): PowerSource? = when {
        !status.getBooleanExtra(BatteryManager.EXTRA_PRESENT, true) -> PowerSource.Mains
        else -> when (status.number(BatteryManager.EXTRA_STATUS)) {
            BatteryManager.BATTERY_STATUS_CHARGING -> PowerSource.Charging
            BatteryManager.BATTERY_STATUS_DISCHARGING -> PowerSource.Battery
            BatteryManager.BATTERY_STATUS_FULL, BatteryManager.BATTERY_STATUS_NOT_CHARGING ->
                if ((status.number(BatteryManager.EXTRA_PLUGGED) ?: 0) == 0) {
                    PowerSource.Battery
                } else {
                    PowerSource.Plugged
                }
            else -> null
        }
    }

    private fun level(status: Intent): Double? {
        val (level, scale) = status.number(BatteryManager.EXTRA_LEVEL) to status.number(BatteryManager.EXTRA_SCALE)
        return if (level != null && scale != null && scale > 0) level.toDouble() / scale else null
    }

    private fun current(): Long? {
        val current = battery?.getLongProperty(BatteryManager.BATTERY_PROPERTY_CURRENT_NOW) ?: return null
        // What Android answers where it does not know, by the width of the number below.
        return current.takeIf { it != Long.MIN_VALUE && it != Int.MIN_VALUE.toLong() && it != 0L }
    }

    private fun background(): Boolean {
        val state = ActivityManager.RunningAppProcessInfo()
        ActivityManager.getMyMemoryState(state)
        return state.importance > ActivityManager.RunningAppProcessInfo.IMPORTANCE_VISIBLE
    }

    private fun clock(): Double? = (0 until Runtime.getRuntime().availableProcessors()).mapNotNull { core ->
        try {
            File("/sys/devices/system/cpu/cpu$core/cpufreq/scaling_cur_freq").readText().trim().toDoubleOrNull()
        } catch (_: IOException) {
            // Most devices do not show it to apps.
            null
        }
    }.maxOrNull()?.let { it / 1000 }

    private fun Intent.number(name: String): Int? = getIntExtra(name, Int.MIN_VALUE).takeIf { it != Int.MIN_VALUE }

    internal companion object {
        // What is said of the near future leaves time to act.
        private const val FORECAST_SECONDS = 10

        fun thermalState(status: Int): ThermalState? = when {
            status < PowerManager.THERMAL_STATUS_NONE -> null
            status == PowerManager.THERMAL_STATUS_NONE -> ThermalState.Nominal
            status <= PowerManager.THERMAL_STATUS_MODERATE -> ThermalState.Fair
            status == PowerManager.THERMAL_STATUS_SEVERE -> ThermalState.Serious
            // Critical, emergency, shutdown, and whatever comes after them.
            else -> ThermalState.Critical
        }
    }
}

package dev.sotto.android

import android.content.BroadcastReceiver
import android.content.ComponentCallbacks2
import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.content.res.Configuration
import android.os.Build
import android.os.PowerManager
import dev.sotto.Sotto
import dev.sotto.SpeechException
import dev.sotto.ThermalState
import dev.sotto.TrimLevel
import java.util.concurrent.atomic.AtomicBoolean
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow

/**
 * Ties an engine to what the system says of memory and heat.
 *
 * Memory: what the system asks for in `onTrimMemory` is passed to [Sotto.trim]. Heat, battery and saving of power: the
 * engine is told whenever one of them changes, and sessions with `SessionOptions(adaptive = true)` work less while the
 * device is hot or short of power. [thermalState] tells the heat to the app, too.
 *
 * Attach it once, in `Application.onCreate`. [close] detaches it; most apps never do.
 */
public class SottoLifecycle private constructor(context: Context, private val engine: Sotto) : AutoCloseable {
    private val application = context.applicationContext
    private val monitor = DeviceMonitor(context)
    private val closed = AtomicBoolean()
    private val thermal = MutableStateFlow(ThermalState.Nominal)
    private val stopListening: () -> Unit = listenToHeat()

    // Of the system alone, so that no other app can send it.
    private val power = object : BroadcastReceiver() {
        override fun onReceive(context: Context, intent: Intent) = tell()
    }

    private val callbacks = object : ComponentCallbacks2 {
        override fun onConfigurationChanged(configuration: Configuration) = Unit

        @Deprecated("The system calls it where onTrimMemory is not enough.")
        override fun onLowMemory() = trim(TrimLevel.Idle)

        override fun onTrimMemory(level: Int) = trim(trimLevel(level))
    }

    /** How warm the device is. [ThermalState.Nominal] before Android 10, which does not say. */
    public val thermalState: StateFlow<ThermalState> = thermal.asStateFlow()

    init {
        application.registerComponentCallbacks(callbacks)
        val changes = IntentFilter(Intent.ACTION_BATTERY_CHANGED).apply {
            addAction(PowerManager.ACTION_POWER_SAVE_MODE_CHANGED)
        }
        application.registerReceiver(power, changes)
        tell()
    }

    /** Detaches it from the system. May be called again. */
    override fun close() {
        if (!closed.compareAndSet(false, true)) return
        application.unregisterComponentCallbacks(callbacks)
        application.unregisterReceiver(power)
        stopListening()
    }

    /** What the device is like now. A millisecond. */
    private fun tell() {
        try {
            engine.push(monitor.read())
        } catch (_: SpeechException.Ended) {
            // The app closed the engine and left this attached.
        }
    }

    private fun trim(level: TrimLevel) {
        try {
            engine.trim(level)
        } catch (_: SpeechException.Ended) {
            // The app closed the engine and left this attached.
        }
    }

    private fun listenToHeat(): () -> Unit {
        val power = application.getSystemService(PowerManager::class.java)
        if (power == null || Build.VERSION.SDK_INT < Build.VERSION_CODES.Q) return {}
        val listener = PowerManager.OnThermalStatusChangedListener { status ->
            DeviceMonitor.thermalState(status)?.let { thermal.value = it }
            tell()
        }
        return try {
            power.addThermalStatusListener(listener)
            ({ power.removeThermalStatusListener(listener) })
        } catch (_: RuntimeException) {
            // "Listener failed to set": the system's service refuses. Nothing is known of heat then; speech works.
            {}
        }
    }

    /** Attaches engines. */
    public companion object {
        /** Attaches an engine. Loads the native library, so not in the middle of drawing a frame. */
        @JvmStatic
        @JvmOverloads
        public fun attach(context: Context, engine: Sotto = Sotto.shared): SottoLifecycle =
            SottoLifecycle(context, engine)

        // By number: Android 14 still sends them, but takes most of their names away.
        internal fun trimLevel(level: Int): TrimLevel = when {
            level >= 60 -> TrimLevel.Idle // TRIM_MEMORY_MODERATE, TRIM_MEMORY_COMPLETE
            level >= ComponentCallbacks2.TRIM_MEMORY_BACKGROUND -> TrimLevel.Unused
            level >= ComponentCallbacks2.TRIM_MEMORY_UI_HIDDEN -> TrimLevel.Pages
            level >= 15 -> TrimLevel.Unused // TRIM_MEMORY_RUNNING_CRITICAL
            else -> TrimLevel.Pages
        }
    }
}

package dev.sotto.internal

import dev.sotto.DeviceReading
import dev.sotto.GovernedSetting
import dev.sotto.GovernorDecision
import dev.sotto.GovernorOptions
import dev.sotto.PowerSource
import dev.sotto.ProfileClip
import dev.sotto.ProfileOptions
import dev.sotto.ProfileValidity
import dev.sotto.SpentTime
import dev.sotto.ThermalState
import dev.sotto.ffi.AudioInput
import dev.sotto.ffi.GovernorSettings
import dev.sotto.ffi.ProfileSettings
import dev.sotto.ffi.DeviceReading as NativeReading
import dev.sotto.ffi.EnergyRail as NativeRail
import dev.sotto.ffi.GovernedSetting as NativeSetting
import dev.sotto.ffi.GovernorDecision as NativeDecision
import dev.sotto.ffi.ModelTier as NativeTier
import dev.sotto.ffi.PowerSource as NativePower
import dev.sotto.ffi.ProfileClip as NativeClip
import dev.sotto.ffi.ProfileValidity as NativeValidity
import dev.sotto.ffi.SpentTime as NativeSpent
import dev.sotto.ffi.ThermalState as NativeThermal

internal fun DeviceReading.native(): NativeReading = NativeReading(
    thermal = thermal?.let {
        when (it) {
            ThermalState.Nominal -> NativeThermal.NOMINAL
            ThermalState.Fair -> NativeThermal.FAIR
            ThermalState.Serious -> NativeThermal.SERIOUS
            ThermalState.Critical -> NativeThermal.CRITICAL
        }
    },
    headroom = headroom,
    temperature = temperature,
    power = power?.let {
        when (it) {
            PowerSource.Battery -> NativePower.BATTERY
            PowerSource.Charging -> NativePower.CHARGING
            PowerSource.Plugged -> NativePower.PLUGGED
            PowerSource.Mains -> NativePower.MAINS
        }
    },
    batteryLevel = batteryLevel,
    currentMicroamperes = currentMicroamperes,
    voltageMillivolts = voltageMillivolts,
    lowPower = lowPower,
    background = background,
    residentBytes = residentBytes?.let { bytes("residentBytes", it) },
    clockMhz = clockMhz,
    rails = rails.map { NativeRail(it.name.wellFormed(), bytes("microjoules", it.microjoules)) },
)

internal fun ProfileOptions.native(): ProfileSettings = ProfileSettings(
    model.wellFormed(), device.wellFormed(), system.wellFormed(), emulated, count("laterLoads", laterLoads),
    count("warmRuns", warmRuns), sustainedSeconds,
)

/** Clips with their files open, which are closed again when [use] returns. */
internal fun <T> List<ProfileClip>.located(use: (List<NativeClip>) -> T): T {
    fun rest(from: Int, opened: List<NativeClip>): T {
        val clip = getOrNull(from) ?: return use(opened)
        return clip.audio.located { input: AudioInput ->
            rest(from + 1, opened + NativeClip(clip.name.wellFormed(), input, clip.text?.wellFormed()))
        }
    }
    return rest(0, emptyList())
}

internal fun NativeValidity.validity(): ProfileValidity = when (this) {
    NativeValidity.VALID -> ProfileValidity.Valid
    NativeValidity.SEMIVALID -> ProfileValidity.Semivalid
    NativeValidity.INVALID -> ProfileValidity.Invalid
}

internal fun GovernorOptions.native(): GovernorSettings = GovernorSettings(
    count("threads", threads),
    tiers.map { NativeTier(it.name.wellFormed(), it.cost, it.wordErrorRate) },
    worstTier?.let { count("worstTier", it) },
    worstWordErrorRate,
)

internal fun SpentTime.native(): NativeSpent = NativeSpent(
    seconds,
    NativeSetting(count("threads", setting.threads), count("tier", setting.tier), setting.stepSeconds),
)

internal fun NativeSetting.setting(): GovernedSetting = GovernedSetting(threads.toInt(), tier.toInt(), stepSeconds)

internal fun NativeDecision.decision(): GovernorDecision = GovernorDecision(setting.setting(), why, meetsDeadline)

import Foundation
internal import SottoBindings

/// What the platform knows of its device at a moment. What is nil is not known.
public struct DeviceReading: Sendable, Equatable {
    /// Where a device's power comes from.
    public enum Power: Sendable, Equatable {
        /// The battery alone.
        case battery
        /// A charger, and the battery is charged.
        case charging
        /// A charger, and the battery is full or held.
        case plugged
        /// A device without a battery.
        case mains
    }

    /// How warm it is.
    public var thermal: ThermalState?
    /// Temperature of the battery in degrees Celsius.
    public var temperature: Double?
    /// Where its power comes from.
    public var power: Power?
    /// Charge of the battery, 0 to 1.
    public var batteryLevel: Double?
    /// Current of the battery in microamperes.
    public var currentMicroamperes: Int64?
    /// Voltage of the battery in millivolts.
    public var voltageMillivolts: Int64?
    /// Whether the system saves power.
    public var lowPower: Bool?
    /// Whether the app is in the background.
    public var background: Bool?
    /// Bytes that the process holds.
    public var residentBytes: UInt64?

    /// Nothing is known.
    public init() {}

    var raw: SottoBindings.DeviceReading {
        SottoBindings.DeviceReading(
            thermal: thermal?.raw, headroom: nil, temperature: temperature,
            power: power.map {
                switch $0 {
                case .battery: .battery
                case .charging: .charging
                case .plugged: .plugged
                case .mains: .mains
                }
            },
            batteryLevel: batteryLevel, currentMicroamperes: currentMicroamperes,
            voltageMillivolts: voltageMillivolts, lowPower: lowPower, background: background,
            residentBytes: residentBytes, clockMhz: nil, rails: [])
    }
}

extension ThermalState {
    var raw: SottoBindings.ThermalState {
        switch self {
        case .nominal: .nominal
        case .fair: .fair
        case .serious: .serious
        case .critical: .critical
        }
    }
}

#if canImport(UIKit) && !os(watchOS)
    import UIKit

    extension DeviceReading {
        /// What the system says now. Battery monitoring must be on (`UIDevice.current.isBatteryMonitoringEnabled`).
        @MainActor public static func current() -> DeviceReading {
            var reading = DeviceReading()
            let device = UIDevice.current
            reading.thermal = .current
            reading.lowPower = ProcessInfo.processInfo.isLowPowerModeEnabled
            reading.background = UIApplication.shared.applicationState == .background
            if device.batteryLevel >= 0 { reading.batteryLevel = Double(device.batteryLevel) }
            switch device.batteryState {
            case .unplugged: reading.power = .battery
            case .charging: reading.power = .charging
            case .full: reading.power = .plugged
            default: break
            }
            return reading
        }
    }
#endif

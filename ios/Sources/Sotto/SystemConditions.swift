import Foundation

extension SottoEngine {
    /// Gives memory back whenever the system warns that there is little, for as long as what is returned is held.
    ///
    /// ```swift
    /// let watch = SottoEngine.shared.trimOnMemoryWarnings()
    /// ```
    public func trimOnMemoryWarnings() -> MemoryWatch {
        MemoryWatch(self)
    }

    /// Tells the engine how warm the device is and whether it saves power, now and whenever that changes, for as long
    /// as what is returned is held. Sessions with ``LiveOptions/adaptive`` follow it.
    public func followDevice() -> DeviceWatch {
        DeviceWatch(self)
    }
}

/// Follows heat and low-power mode until nobody holds it any more.
public final class DeviceWatch: @unchecked Sendable {
    #if canImport(Darwin)
        private let observers: [any NSObjectProtocol]

        init(_ engine: SottoEngine) {
            let tell: @Sendable () -> Void = {
                var reading = DeviceReading()
                reading.thermal = .current
                reading.lowPower = ProcessInfo.processInfo.isLowPowerModeEnabled
                engine.push(reading)
            }
            let changes = [ProcessInfo.thermalStateDidChangeNotification, .NSProcessInfoPowerStateDidChange]
            observers = changes.map { change in
                NotificationCenter.default.addObserver(forName: change, object: nil, queue: nil) { _ in tell() }
            }
            tell()
        }

        deinit {
            observers.forEach(NotificationCenter.default.removeObserver)
        }
    #else
        init(_: SottoEngine) {}
    #endif
}

/// Watches the system's memory warnings until nobody holds it any more.
public final class MemoryWatch: Sendable {
    #if canImport(Darwin)
        private let source: any DispatchSourceMemoryPressure

        init(_ engine: SottoEngine) {
            source = DispatchSource.makeMemoryPressureSource(eventMask: [.warning, .critical], queue: .global())
            source.setEventHandler { [source] in
                engine.trim(source.data.contains(.critical) ? .idle : .unused)
            }
            source.activate()
        }

        deinit {
            source.cancel()
        }
    #else
        init(_: SottoEngine) {}
    #endif
}

/// How warm the device is, as the system says it.
public enum ThermalState: Sendable, Equatable, CaseIterable {
    /// Nothing slows it.
    case nominal
    /// A little warm.
    case fair
    /// The system slows down.
    case serious
    /// The app must do less.
    case critical

    /// The state right now; always nominal where the system does not say.
    public static var current: Self {
        #if canImport(Darwin)
            switch ProcessInfo.processInfo.thermalState {
            case .nominal: .nominal
            case .fair: .fair
            case .serious: .serious
            case .critical: .critical
            @unknown default: .nominal
            }
        #else
            .nominal
        #endif
    }
}

import Foundation
import Sotto
import XCTest

/// Live text that works less while the device is hot.
final class AdaptiveTests: XCTestCase {
    private func recognizer() async throws -> (SottoEngine, SpeechRecognizer) {
        let engine = try SottoEngine(.init(threads: 2))
        return (engine, try await SpeechRecognizer.load(.file(Fixtures.starter), engine: engine))
    }

    private var adaptive: LiveOptions {
        var options = LiveOptions()
        options.adaptive = true
        return options
    }

    private var hot: DeviceReading {
        var reading = DeviceReading()
        reading.thermal = .critical
        reading.power = .battery
        return reading
    }

    func testAHotDeviceSaysTheSameInTheEnd() async throws {
        let (engine, recognizer) = try await recognizer()
        let pcm = try Data(contentsOf: Fixtures.pcm)
        for reading in [DeviceReading(), hot] {
            engine.push(reading)
            let session = try recognizer.startSession(options: adaptive)
            try session.push(pcm)
            session.finish()
            let text = try await within {
                var text = ""
                for try await event in session.events { if case .final(let words) = event { text += words.text } }
                return text
            }
            XCTAssertTrue(text.contains("quarter past nine"), text)
        }
    }

    func testHeatIsFollowedWhileASessionRunsAndForgottenWithTheLastOne() async throws {
        let (engine, recognizer) = try await recognizer()
        XCTAssertNil(engine.adapted)
        let session = try recognizer.startSession(options: adaptive)
        let first = try XCTUnwrap(engine.adapted)
        XCTAssertEqual(first.why, "start")
        // Some seconds of calm come first.
        let hot = hot
        let eased = try await within(seconds: 60) {
            while true {
                engine.push(hot)
                if let now = engine.adapted, now.setting != first.setting { return now }
                try await Task.sleep(nanoseconds: 100_000_000)
            }
        }
        XCTAssertEqual(eased.why, "heat")
        session.cancel()
        for _ in 0..<1000 where engine.adapted != nil { try await Task.sleep(nanoseconds: 10_000_000) }
        XCTAssertNil(engine.adapted)
    }

    func testSessionsThatDoNotAdaptAreLeftAlone() async throws {
        let (engine, recognizer) = try await recognizer()
        engine.push(hot)
        let session = try recognizer.startSession()
        XCTAssertNil(engine.adapted)
        let watch = engine.followDevice()
        withExtendedLifetime((session, watch)) {}
    }
}

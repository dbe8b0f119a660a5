import Foundation
import Sotto
import XCTest

final class StoreTests: XCTestCase {
    private func store() throws -> (ModelStore, URL) {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("models-\(UUID())")
        return (try ModelStore(folder: folder, engine: Fixtures.engine), folder)
    }

    func testAModelIsImportedFoundCheckedAndRemoved() async throws {
        let (store, folder) = try store()
        defer { try? FileManager.default.removeItem(at: folder) }
        let model = try await store.importModel(at: Fixtures.starter, as: "local/starter@1.0", licence: "mit")
        XCTAssertEqual([model.active, model.problems.isEmpty], [true, true])
        XCTAssertEqual(model.licence, "mit")
        XCTAssertEqual(try store.models(), [model])
        let checked = try await store.verify("local/starter")
        XCTAssertEqual(checked, model.bytes)
        let recognizer = try await SpeechRecognizer.load(store.source(of: "starter"), engine: Fixtures.engine)
        let text = try await recognizer.transcribe(.file(Fixtures.demo)).text
        XCTAssertTrue(text.contains("airport"), text)
        XCTAssertGreaterThan(try store.remove("local/starter"), 10_000_000)
        XCTAssertEqual(try store.models(), [])
    }

    func testVersionsAreSwitchedAndRolledBack() async throws {
        let (store, folder) = try store()
        defer { try? FileManager.default.removeItem(at: folder) }
        let first = try await store.importModel(at: Fixtures.starter, as: "local/starter@1.0")
        let second = try await store.importModel(at: Fixtures.demo, as: "local/starter@2.0")
        XCTAssertNotEqual(first.version, second.version)
        XCTAssertEqual(try store.rollback("local/starter").version, first.version)
        XCTAssertEqual(try store.activate("local/starter", version: second.version).version, second.version)
    }

    func testWhatIsNotThereIsNotFound() throws {
        let (store, _) = try store()
        XCTAssertThrowsError(try store.source(of: "nobody/nothing")) { error in
            guard case StoreError.notFound = error else { return XCTFail("\(error)") }
        }
        XCTAssertThrowsError(try store.remove("../outside")) { error in
            guard case StoreError.invalidName = error else { return XCTFail("\(error)") }
        }
    }

    func testAServerThatIsNotThereIsANetworkError() async throws {
        let (store, folder) = try store()
        defer { try? FileManager.default.removeItem(at: folder) }
        do {
            // Nothing listens at this port, and the pull tries for a while.
            _ = try await within(seconds: 120) {
                try await store.pullModel("owner/name", endpoint: "http://127.0.0.1:9")
            }
            XCTFail("there is no server")
        } catch {
            guard case StoreError.network(let reason, _)? = error as? StoreError else { return XCTFail("\(error)") }
            XCTAssertTrue(reason.contains("127.0.0.1"), reason)
        }
    }
}

final class ProfileTests: XCTestCase {
    func testAShortProfileSaysThatItIsTooShort() async throws {
        var options = SpeechProfile.Options(model: "starter", device: "test")
        options.laterLoads = 1
        options.warmRuns = 1
        options.sustainedSeconds = 0.5
        let clip = SpeechProfile.Clip(
            name: "demo", audio: .file(Fixtures.demo), text: "Good morning. The train to the airport leaves.")
        let profile = try SpeechProfile(
            of: .file(Fixtures.starter), clips: [clip], options: options, engine: SottoEngine(.init(threads: 2)))
        var reading = DeviceReading()
        reading.thermal = .nominal
        reading.power = .battery
        profile.push(reading)
        let report = try await within { try await profile.report() }
        XCTAssertNotEqual(report.validity, .valid)
        XCTAssertFalse(report.reasons.isEmpty)
        XCTAssertTrue(report.json.contains("sotto-profile"))
        XCTAssertTrue(try report.page().contains("<svg"))
        XCTAssertTrue(try report.page(comparedWith: report).contains("<html"))
    }

    func testTheGovernorEasesOffWhereItIsHot() {
        let governor = LiveGovernor(threads: 4)
        var reading = DeviceReading()
        let first = governor.decide(at: 0, reading: reading)
        XCTAssertEqual(first.why, "start")
        reading.thermal = .critical
        var last = first
        for second in 1..<120 {
            last = governor.decide(at: Double(second), reading: reading, spent: (0.1, last.setting))
        }
        XCTAssertLessThan(
            Double(last.setting.threads) / last.setting.stepSeconds,
            Double(first.setting.threads) / first.setting.stepSeconds)
    }
}

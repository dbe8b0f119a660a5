import Foundation
import Sotto
import SottoStarter
import XCTest

@testable import SampleModels

private let repository = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
private let demo = repository.appendingPathComponent("core/starter/audio/demo.flac")
private let pcm = repository.appendingPathComponent("bindings/conformance/demo.pcm")

@Sendable private func starter() async throws -> SpeechRecognizer {
    try await SpeechRecognizer.load(StarterModel.speech())
}

@MainActor
final class SampleModelsTests: XCTestCase {
    private func recorded() -> AsyncThrowingStream<Data, any Error> {
        AsyncThrowingStream { continuation in
            do {
                let samples = try Data(contentsOf: pcm)
                for start in stride(from: 0, to: samples.count, by: 640) {
                    continuation.yield(samples.subdata(in: start..<min(start + 640, samples.count)))
                }
                continuation.finish()
            } catch {
                continuation.finish(throwing: error)
            }
        }
    }

    func testCaptionsBecomeFinal() async {
        let samples = recorded()
        let model = CaptionsModel(load: starter) { .init(samples: samples, format: PCMFormat()) }
        model.start()
        XCTAssertEqual(model.state, .loading)
        await model.finished()
        XCTAssertEqual(model.state, .idle)
        XCTAssertTrue(model.finalText.contains("airport"), model.finalText)
        XCTAssertEqual(model.volatileText, "")
    }

    func testCaptionsStopWhenTheyAreTold() async {
        let silence = AsyncThrowingStream<Data, any Error> { _ in }
        let model = CaptionsModel(load: starter) { .init(samples: silence, format: PCMFormat()) }
        model.toggle()
        XCTAssertTrue(model.isRunning)
        model.toggle()
        await model.finished()
        XCTAssertEqual(model.state, .idle)
    }

    func testAMicrophoneThatMayNotBeUsedIsSaid() async {
        let model = CaptionsModel(load: starter) {
            throw SottoError.invalidAudio(reason: "no microphone", nextStep: "ask for permission")
        }
        model.start()
        await model.finished()
        XCTAssertEqual(model.state, .failed("no microphone\nask for permission"))
    }

    func testAFileBecomesTextAndSubtitles() async throws {
        let model = FileModel(load: starter)
        model.transcribe(demo)
        await model.finished()
        XCTAssertEqual(model.state, .done)
        XCTAssertEqual(model.segments.count, 3)
        let subtitles = try String(contentsOf: model.subtitles(), encoding: .utf8)
        XCTAssertTrue(subtitles.contains("umbrella"), subtitles)
    }

    func testAFileThatIsNoRecordingIsSaid() async {
        let model = FileModel(load: starter)
        model.transcribe(repository.appendingPathComponent("README.md"))
        await model.finished()
        guard case .failed(let message) = model.state else { return XCTFail("\(model.state)") }
        XCTAssertTrue(message.contains("README.md"), message)
    }

    func testTheStarterModelIsUsedUntilAnotherOneIsChosen() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("sample-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        let store = try ModelStore(folder: folder)
        let list = ModelListModel(store: store)
        XCTAssertEqual(list.models, [])
        let starter = try await list.load()
        let same = try await list.load()
        XCTAssertTrue(starter === same)
        try await store.importModel(
            at: repository.appendingPathComponent("core/starter/models/speech/starter.en.sotto"), as: "local/mine")
        list.refresh()
        list.chosen = "local/mine"
        let mine = try await list.load()
        XCTAssertTrue(mine !== starter)
        list.remove(list.models[0])
        XCTAssertNil(list.chosen)
        XCTAssertEqual(list.models, [])
    }

    func testTheListShowsWhatHasBecomeOfAModel() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("sample-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        let engine = try SottoEngine(.init(threads: 2))
        let list = ModelListModel(store: try ModelStore(folder: folder, engine: engine), engine: engine)
        let row = Task { await list.watch(nil) }
        func wait(for state: ModelState) async throws {
            for _ in 0..<2000 where list.states[ModelListModel.starter] != state {
                try await Task.sleep(nanoseconds: 5_000_000)
            }
            XCTAssertEqual(list.states[ModelListModel.starter], state)
        }
        try await wait(for: .notLoaded)
        let recognizer = try await list.load()
        try await wait(for: .ready)
        recognizer.unload()
        try await wait(for: .unloaded)
        row.cancel()
        await row.value
        XCTAssertEqual(list.states, [:])
    }

    /// Nobody tells an app before the system ends it: the old models are left in the middle of what they do.
    func testWhatWasChosenAndFinalIsThereAfterTheProcessHasDied() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("sample-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appendingPathComponent("state.json")
        let store = try ModelStore(folder: folder.appendingPathComponent("models"))
        try await store.importModel(
            at: repository.appendingPathComponent("core/starter/models/speech/starter.en.sotto"), as: "local/mine")
        let before = SavedState(file: file)
        ModelListModel(store: store, saved: before).chosen = "local/mine"
        let samples = try Data(contentsOf: pcm)
        let (audio, microphone) = AsyncThrowingStream.makeStream(of: Data.self, throwing: (any Error).self)
        let listening = CaptionsModel(saved: before, load: starter) { .init(samples: audio, format: PCMFormat()) }
        listening.start()
        // The recording, silence that makes it final, and no end.
        microphone.yield(samples + Data(count: 96_000))
        for _ in 0..<4000 where listening.finalText.isEmpty { try await Task.sleep(nanoseconds: 5_000_000) }

        let after = SavedState(file: file)
        XCTAssertEqual(ModelListModel(store: store, saved: after).chosen, "local/mine")
        let captions = CaptionsModel(saved: after, load: starter) { .init(samples: audio, format: PCMFormat()) }
        XCTAssertEqual(captions.state, .idle)
        XCTAssertTrue(captions.finalText.contains("morning"), captions.finalText)
        captions.start()
        XCTAssertEqual(captions.finalText, "")
        captions.stop()
        listening.stop()
    }

    func testStateThatCannotBeReadOrNamesAModelThatIsGoneIsNone() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("sample-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let file = folder.appendingPathComponent("state.json")
        try Data("{\"chosen\": \"local/mi".utf8).write(to: file)
        let damaged = SavedState(file: file)
        XCTAssertEqual(damaged.content, SavedState.Content())
        damaged.content.chosen = "local/gone"
        let again = SavedState(file: file)
        XCTAssertEqual(again.content.chosen, "local/gone")
        let list = ModelListModel(store: try ModelStore(folder: folder.appendingPathComponent("models")), saved: again)
        XCTAssertNil(list.chosen)
        _ = try list.source()
    }

    func testAFailedPullIsSaidAndLeavesTheListAsItWas() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("sample-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        let list = ModelListModel(store: try ModelStore(folder: folder), endpoint: "http://127.0.0.1:9")
        list.pull(ModelListModel.offers[0])
        XCTAssertNotNil(list.progress[ModelListModel.offers[0].id])
        await list.finished()
        XCTAssertEqual(list.models, [])
        XCTAssertNotNil(list.problem)
        XCTAssertEqual(list.progress, [:])
    }

    func testAProfileIsMadeAndExported() async throws {
        let model = ProfilerModel(
            begin: {
                var options = SpeechProfile.Options(model: "starter")
                options.laterLoads = 1
                options.warmRuns = 1
                options.sustainedSeconds = 0.2
                let clip = SpeechProfile.Clip(name: "demo", audio: .file(demo))
                return try SpeechProfile(of: StarterModel.speech(), clips: [clip], options: options)
            },
            reading: { DeviceReading() })
        model.start()
        await model.finished()
        XCTAssertEqual(model.state, .done)
        let files = try model.export()
        XCTAssertEqual(files.map(\.pathExtension), ["json", "html"])
        XCTAssertTrue(try String(contentsOf: files[1], encoding: .utf8).contains("<svg"))
    }
}

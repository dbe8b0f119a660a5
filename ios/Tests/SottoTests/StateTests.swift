import Foundation
import Sotto
import XCTest

/// What an app that shows its models sees of them.
final class StateTests: XCTestCase {
    private let source = ModelSource.file(Fixtures.starter)

    func testAModelIsLoadedHeldAndUnloadedBeforeTheEyesOfWhoWatches() async throws {
        let engine = try SottoEngine(.init(threads: 2))
        let watch = Watch(engine.states(of: source))
        try await watch.reaches(.notLoaded)
        var recognizer: SpeechRecognizer? = try await SpeechRecognizer.load(source, engine: engine)
        try await watch.reaches(.ready)
        XCTAssertEqual(engine.state(of: source), .ready)
        XCTAssertEqual(recognizer?.state, .ready)
        recognizer?.unload()
        try await watch.reaches(.unloaded)
        XCTAssertEqual(recognizer?.state, .unloaded)

        recognizer = try await SpeechRecognizer.load(source, engine: engine)
        try await watch.reaches(.ready)
        engine.trim(.idle)
        try await watch.reaches(.unloaded)

        recognizer = try await SpeechRecognizer.load(source, engine: engine)
        try await watch.reaches(.ready)
        XCTAssertTrue(engine.unload(engine.loadedModels[0].id))
        try await watch.reaches(.unloaded)

        recognizer = try await SpeechRecognizer.load(source, engine: engine)
        try await watch.reaches(.ready)
        recognizer = nil
        try await watch.reaches(.unloaded)
    }

    func testProgressComesBetweenNotLoadedAndReady() async throws {
        let engine = try SottoEngine(.init(threads: 1))
        let seen = Locked<[ModelState]>([])
        let source = source
        // Looked at whenever loading tells how far it is: a loop beside it may be too slow to see every step.
        let recognizer = try await SpeechRecognizer.load(source, engine: engine) { _ in
            seen.withLock { $0.append(engine.state(of: source)) }
        }
        for state in seen.withLock({ $0 }) {
            guard case .loading(let part) = state else { return XCTFail("\(state)") }
            XCTAssertTrue((0...1).contains(part))
        }
        XCTAssertEqual(engine.state(of: source), .ready)
        recognizer.unload()
    }

    func testAModelThatCannotBeLoadedSaysWhyUntilItCan() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("state-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appendingPathComponent("model.sotto")
        let engine = try SottoEngine(.init(threads: 2))
        let watch = Watch(engine.states(of: .file(file)))
        do {
            _ = try await SpeechRecognizer.load(.file(file), engine: engine)
            XCTFail("there is no model")
        } catch {
            try await watch.reaches(.failed(error))
        }
        try FileManager.default.copyItem(at: Fixtures.starter, to: file)
        let recognizer = try await SpeechRecognizer.load(.file(file), engine: engine)
        try await watch.reaches(.ready)
        XCTAssertEqual(recognizer.state, .ready)
    }

    func testACancelledLoadLeavesTheStateAsItWas() async throws {
        let engine = try SottoEngine(.init(threads: 1))
        let watch = Watch(engine.states(of: source))
        let task = Task { [source] in try await SpeechRecognizer.load(source, engine: engine) }
        task.cancel()
        await assertCancelled { try await task.value }
        try await watch.reaches(.notLoaded)
    }

    func testTwoHoldersAreOneModelAndTwoEnginesAreTwo() async throws {
        let (engine, other) = (try SottoEngine(.init(threads: 1)), try SottoEngine(.init(threads: 1)))
        let first = try await SpeechRecognizer.load(source, engine: engine)
        do {
            let second = try await SpeechRecognizer.load(source, engine: engine)
            XCTAssertEqual(second.state, .ready)
        }
        XCTAssertEqual(engine.state(of: source), .ready, "the first one is still held")
        XCTAssertEqual(other.state(of: source), .notLoaded)
        first.unload()
        XCTAssertEqual(engine.state(of: source), .notLoaded, "nobody watches it")
    }

    func testAModelThatIsNeededAgainIsLoadedAgain() async throws {
        let engine = try SottoEngine(.init(threads: 2))
        let model = SpeechModel(source, engine: engine)
        XCTAssertEqual(model.state, .notLoaded)
        let watch = Watch(model.states)
        let first = try await withThrowingTaskGroup(of: SpeechRecognizer.self) { group in
            for _ in 0..<8 { group.addTask { try await model.load() } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        XCTAssertEqual(engine.loadedModels.count, 1)
        XCTAssertTrue(first.allSatisfy { $0.state == .ready })
        let kept = try await model.load()
        let same = try await model.load()
        XCTAssertTrue(kept === same)
        engine.trim(.idle)
        try await watch.reaches(.unloaded)
        let again = try await model.load()
        XCTAssertTrue(again !== kept)
        XCTAssertEqual([again.state, kept.state], [.ready, .unloaded])
        try await watch.reaches(.ready)
        model.unload()
        model.unload()
        try await watch.reaches(.unloaded)
        XCTAssertEqual(again.state, .unloaded)
    }

    func testALoadThatIsStoppedByUnloadingIsCancelled() async throws {
        let engine = try SottoEngine(.init(threads: 1))
        let model = SpeechModel(source, engine: engine)
        for delay in 0..<20 {
            let load = Task { try await model.load() }
            try await Task.sleep(nanoseconds: UInt64(delay) * 500_000)
            model.unload()
            // Either it was there already, and is unloaded, or it was stopped.
            do {
                let recognizer = try await within(seconds: 30) { try await load.value }
                model.unload()
                XCTAssertEqual(recognizer.state, .unloaded)
            } catch {
                XCTAssertEqual(error as? SottoError, .cancelled)
            }
        }
        try await untilHeld(by: engine)
        XCTAssertEqual(engine.memoryUsed, 0)
    }

    func testWatchersThatLeaveAreForgotten() async throws {
        let engine = try SottoEngine(.init(threads: 1))
        for _ in 0..<100 {
            for await _ in engine.states(of: source) { break }
            _ = engine.states(of: source)
            let task = Task { [source] in
                var count = 0
                for await _ in engine.states(of: source) { count += 1 }
                return count
            }
            task.cancel()
            _ = try await within(seconds: 20) { await task.value }
        }
        // Whoever watches does not keep the engine or the model.
        weak var gone: SottoEngine?
        let states: AsyncStream<ModelState>
        do {
            let brief = try SottoEngine(.init(threads: 1))
            gone = brief
            states = brief.states(of: source)
        }
        XCTAssertNil(gone)
        _ = states
    }
}

/// Follows a model's states.
private final class Watch: Sendable {
    private let seen = Locked<[ModelState]>([])
    private let task: Task<Void, Never>

    init(_ states: AsyncStream<ModelState>) {
        task = Task { [seen] in
            for await state in states { seen.withLock { $0.append(state) } }
        }
    }

    deinit { task.cancel() }

    var order: [ModelState] { seen.withLock { $0 } }

    /// Waits until the last state that was seen is this one.
    func reaches(_ state: ModelState) async throws {
        for _ in 0..<2000 where order.last != state { try await Task.sleep(nanoseconds: 5_000_000) }
        XCTAssertEqual(order.last, state)
    }
}

import Foundation
import Sotto
import XCTest

/// What apps should not do, and do.
final class BadInputTests: XCTestCase {
    private func pcm() throws -> Data { try Data(contentsOf: Fixtures.pcm) }

    func testPiecesMayEndInsideASampleAndBeEmptyOrSlices() async throws {
        let recognizer = try await Fixtures.recognizer()
        let pcm = try pcm()
        let session = try recognizer.startSession()
        var start = 0
        for size in [0, 1, 3, 641, 0, 7_777] {
            try session.push(pcm.subdata(in: start..<start + size))
            start += size
        }
        // A slice, whose first index is not 0.
        try session.push(pcm[start..<start + 999])
        try session.push(pcm[(start + 999)...])
        session.finish()
        let heard = try await text(of: session)
        XCTAssertTrue(heard.contains("airport"), heard)
    }

    func testAHalfSampleAtTheEndIsNoReasonToFail() async throws {
        let recognizer = try await Fixtures.recognizer()
        let session = try recognizer.startSession()
        try session.push(try pcm() + Data([7]))
        session.finish()
        let heard = try await text(of: session)
        XCTAssertTrue(heard.contains("airport"), heard)
        for count in [0, 1] {
            let transcript = try await recognizer.transcribe(.samples(Data(count: count), format: .init()))
            XCTAssertEqual(transcript.text, "")
        }
    }

    func testEmptyBuffersOfFloatsAreNothing() async throws {
        let recognizer = try await Fixtures.recognizer()
        let session = try recognizer.startSession(format: .init(encoding: .float32))
        try session.push(UnsafeBufferPointer(start: nil, count: 0))
        try [Float]().withUnsafeBufferPointer { try session.push($0) }
        session.finish()
        let heard = try await text(of: session)
        XCTAssertEqual(heard, "")
    }

    func testSamplesThatAreNoNumbersAreRefused() async throws {
        let recognizer = try await Fixtures.recognizer()
        let format = PCMFormat(encoding: .float32)
        for bad in [Float.nan, .infinity, -.infinity, .signalingNaN] {
            var samples = [Float](repeating: 0.01, count: 16_000)
            samples[8_000] = bad
            let bytes = samples.withUnsafeBytes { Data($0) }
            do {
                let transcript = try await recognizer.transcribe(.samples(bytes, format: format))
                XCTFail("\(bad) was taken: \(transcript.text.count)")
            } catch {
                guard case .invalidAudio(let reason, let step) = error else { return XCTFail("\(error)") }
                XCTAssertFalse(reason.isEmpty || step.isEmpty)
            }
            let session = try recognizer.startSession(format: format)
            do {
                try samples.withUnsafeBufferPointer { try session.push($0) }
                session.finish()
                _ = try await text(of: session)
                XCTFail("\(bad) was taken")
            } catch {
                guard case .invalidAudio? = error as? SottoError else { return XCTFail("\(error)") }
            }
            // The session is over, and says so again.
            XCTAssertThrowsError(try session.push(Data(count: 640)))
        }
    }

    func testPlacesWhereNothingCanBeReadAreNamedByTheirKind() async throws {
        let web = try XCTUnwrap(URL(string: "https://example.com/model.sotto?token=secret"))
        let nowhere = URL(fileURLWithPath: "/nowhere")
        let models: [ModelSource] = [
            .file(web), .file(nowhere), .data(Data(), name: "empty"), .data(Data(count: 100_000), name: "zeros"),
            .descriptor(-1, offset: 0, length: 5, name: "none"), .descriptor(9_999, offset: 0, length: 5, name: "none"),
        ]
        for model in models {
            do {
                _ = try await SpeechRecognizer.load(model, engine: Fixtures.engine)
                XCTFail("\(model)")
            } catch {
                guard case .invalidModel(let reason, let step) = error else { XCTFail("\(error)"); continue }
                XCTAssertFalse(step.isEmpty || reason.contains("secret"), reason)
            }
        }
        let recordings: [AudioSource] = [
            .file(web), .file(nowhere), .data(Data(), name: "empty"), .data(Data(count: 100_000), name: "zeros"),
            .descriptor(-1, offset: 0, length: 5, name: "none"), .samples(Data(count: 640), format: .init(rate: 0)),
        ]
        let recognizer = try await Fixtures.recognizer()
        for recording in recordings {
            do {
                _ = try await recognizer.transcribe(recording)
                XCTFail("\(recording)")
            } catch {
                guard case .invalidAudio(let reason, let step) = error else { XCTFail("\(error)"); continue }
                XCTAssertFalse(step.isEmpty || reason.contains("secret"), reason)
            }
        }
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("places-\(UUID())")
        let store = try ModelStore(folder: folder, engine: Fixtures.engine)
        defer { try? FileManager.default.removeItem(at: folder) }
        for file in [web, nowhere] {
            do {
                try await store.importModel(at: file, as: "local/model")
                XCTFail("\(file)")
            } catch {
                guard case .notFound = error else { XCTFail("\(error)"); continue }
            }
        }
    }

    func testAddressesWhereNothingCanBeWrittenAreRefused() async throws {
        let web = try XCTUnwrap(URL(string: "https://example.com/folder?token=secret"))
        do {
            _ = try ModelStore(folder: web, engine: Fixtures.engine)
            XCTFail("a store at an address")
        } catch {
            guard case .invalidName(let reason, _) = error else { return XCTFail("\(error)") }
            XCTAssertFalse(reason.contains("secret"), reason)
        }
        var options = SottoEngine.Options()
        options.cacheFolder = web
        do {
            _ = try SottoEngine(options)
            XCTFail("a cache at an address")
        } catch {
            guard case .invalidOption("cacheFolder", let reason, _) = error else { return XCTFail("\(error)") }
            XCTAssertFalse(reason.contains("secret"), reason)
        }
        do {
            try await Fixtures.engine.pack(.data(Data(), name: "empty"), to: web)
            XCTFail("a packed model at an address")
        } catch {
            guard case .invalidOption("destination", let reason, _) = error else { return XCTFail("\(error)") }
            XCTAssertFalse(reason.contains("secret"), reason)
        }
    }

    func testFormatsThatCannotBeAreRefusedAtOnce() async throws {
        let recognizer = try await Fixtures.recognizer()
        let formats = [
            PCMFormat(rate: 0), PCMFormat(rate: .max), PCMFormat(channels: 0), PCMFormat(channels: .max),
            PCMFormat(encoding: .float32, rate: 1),
        ]
        for format in formats {
            do {
                _ = try recognizer.startSession(format: format)
                XCTFail("\(format)")
            } catch {
                guard case .invalidAudio = error else { return XCTFail("\(format): \(error)") }
            }
        }
    }

    func testCallsAfterTheEndAreRefusedAndNeverCrash() async throws {
        let recognizer = try await Fixtures.recognizer()
        let finished = try recognizer.startSession()
        finished.finish()
        finished.finish()
        do {
            try finished.push(Data(count: 640))
            XCTFail("it has ended")
        } catch {
            guard case .ended = error else { return XCTFail("\(error)") }
        }
        let heard = try await text(of: finished)
        XCTAssertEqual(heard, "")
        // Once more: it has ended for every loop.
        let again = try await text(of: finished)
        XCTAssertEqual(again, "")
        finished.cancel()

        let cancelled = try recognizer.startSession()
        cancelled.cancel()
        cancelled.finish()
        XCTAssertThrowsError(try cancelled.push(Data(count: 640)))
        await assertCancelled { try await text(of: cancelled) }
    }

    func testAnUnloadedModelRefusesEveryCall() async throws {
        let engine = try SottoEngine(.init(threads: 2))
        let recognizer = try await SpeechRecognizer.load(.file(Fixtures.starter), engine: engine)
        recognizer.unload()
        recognizer.unload()
        recognizer.setForeground(false)
        func refused<T>(_ body: () async throws -> T, line: UInt = #line) async {
            do {
                _ = try await body()
                XCTFail("it is unloaded", line: line)
            } catch {
                guard case .unloaded? = error as? SottoError else { return XCTFail("\(error)", line: line) }
            }
        }
        await refused { try await recognizer.transcribe(.file(Fixtures.demo)) }
        await refused { try await recognizer.detectLanguage(of: .file(Fixtures.demo)) }
        await refused { try recognizer.startSession() }
        await refused { try recognizer.info() }
        await refused { for try await _ in recognizer.listen(to: AsyncStream<Data> { $0.finish() }) {} }
    }

    func testTwoEnginesDoNotKnowOfEachOther() async throws {
        let engines = [try SottoEngine(.init(threads: 1)), try SottoEngine(.init(threads: 2))]
        let recognizers = [
            try await SpeechRecognizer.load(.file(Fixtures.starter), engine: engines[0]),
            try await SpeechRecognizer.load(.file(Fixtures.starter), engine: engines[1]),
        ]
        async let first = recognizers[0].transcribe(.file(Fixtures.demo)).text
        async let second = recognizers[1].transcribe(.file(Fixtures.demo)).text
        let texts = try await [first, second]
        XCTAssertEqual(texts[0], texts[1])
        recognizers[0].unload()
        XCTAssertEqual(recognizers[1].state, .ready)
        let after = try await recognizers[1].transcribe(.file(Fixtures.demo)).text
        XCTAssertEqual(after, texts[0])
    }

    func testAModelWhoseFileIsDeletedWhileItIsOpenGoesOn() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("deleted-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appendingPathComponent("model.sotto")
        try FileManager.default.copyItem(at: Fixtures.starter, to: file)
        let engine = try SottoEngine(.init(threads: 2))
        let recognizer = try await SpeechRecognizer.load(.file(file), engine: engine)
        try FileManager.default.removeItem(at: file)
        engine.trim(.pages)
        let text = try await recognizer.transcribe(.file(Fixtures.demo)).text
        XCTAssertTrue(text.contains("airport"), text)
        recognizer.unload()
        do {
            _ = try await SpeechRecognizer.load(.file(file), engine: engine)
            XCTFail("it is deleted")
        } catch {
            guard case .invalidModel(let reason, _) = error else { return XCTFail("\(error)") }
            XCTAssertTrue(reason.contains("model.sotto"), reason)
        }
    }

    /// Cancelled before it begins, while the model loads, while speech is encoded or decoded, and when all is done.
    func testATaskMayBeCancelledInEveryState() async throws {
        let pcm = try pcm()
        for delay in [0, 1, 5, 20, 60, 150, 400, 1_000] {
            let engine = try SottoEngine(.init(threads: 2))
            let task = Task {
                let recognizer = try await SpeechRecognizer.load(.file(Fixtures.starter), engine: engine)
                for try await _ in recognizer.listen(to: AsyncStream { $0.yield(pcm); $0.yield(pcm) }) {}
            }
            try await Task.sleep(nanoseconds: UInt64(delay) * 1_000_000)
            task.cancel()
            // A stream that is left ends; a load that is stopped says so.
            do { try await within(seconds: 30) { try await task.value } } catch {
                XCTAssertTrue(error as? SottoError == .cancelled || error is CancellationError, "\(error)")
            }
            try await untilHeld(by: engine)
            XCTAssertEqual(engine.memoryUsed, 0, "after \(delay) ms")
        }
    }

    func testEveryKindOfWorkEndsWithItsTask() async throws {
        let engine = try SottoEngine(.init(threads: 2))
        let recognizer = try await SpeechRecognizer.load(.file(Fixtures.starter), engine: engine)
        let held = engine.memoryUsed
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("cancel-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        let store = try ModelStore(folder: folder, engine: engine)
        try await store.importModel(at: Fixtures.starter, as: "local/here")
        let samples = try (0..<40).reduce(into: Data()) { data, _ in data += try pcm() }
        let long = AudioSource.samples(samples, format: .init())
        let clip = SpeechProfile.Clip(name: "long", audio: long)
        let works: [(String, @Sendable () async throws -> Void)] = [
            ("detecting", { _ = try await recognizer.detectLanguage(of: long) }),
            ("finding", { _ = try await engine.findSpeech(in: long) }),
            ("transcribing", { _ = try await recognizer.transcribe(long) }),
            ("importing", { try await store.importModel(at: Fixtures.starter, as: "local/other") }),
            ("verifying", { try await store.verify("local/here") }),
            (
                "profiling",
                {
                    let profile = try SpeechProfile(
                        of: .file(Fixtures.starter), clips: [clip], options: .init(model: "a"), engine: engine)
                    _ = try await profile.report()
                }
            ),
        ]
        for (name, work) in works {
            for delay in [0, 3, 40] {
                let task = Task { try await work() }
                try await Task.sleep(nanoseconds: UInt64(delay) * 1_000_000)
                task.cancel()
                do { try await within(seconds: 30) { try await task.value } } catch {
                    let isCancelled = error as? SottoError == .cancelled || error as? StoreError == .cancelled
                    XCTAssertTrue(isCancelled, "\(name): \(error)")
                }
                try await untilHeld(by: engine, atMost: held)
                XCTAssertLessThanOrEqual(engine.memoryUsed, held, name)
            }
        }
        XCTAssertEqual(Set(try store.models().map(\.name)).subtracting(["local/other"]), ["local/here"])
    }

    func testASourceOfSamplesThatFailsEndsTheLoopWithItsError() async throws {
        struct Broken: Error {}
        let recognizer = try await Fixtures.recognizer()
        let pcm = try pcm()
        let audio = AsyncThrowingStream<Data, any Error> { continuation in
            continuation.yield(pcm.prefix(32_000))
            continuation.finish(throwing: Broken())
        }
        do {
            try await within { for try await _ in recognizer.listen(to: audio) {} }
            XCTFail("it is broken")
        } catch {
            XCTAssertTrue(error is Broken, "\(error)")
        }
    }

    func testASessionThatFailsEndsTheLoopThoughTheMicrophoneGoesOn() async throws {
        let recognizer = try await Fixtures.recognizer()
        let (audio, microphone) = AsyncStream.makeStream(of: Data.self)
        microphone.yield([Float.nan].withUnsafeBytes { Data($0) })
        do {
            try await within(seconds: 30) {
                for try await _ in recognizer.listen(to: audio, format: .init(encoding: .float32)) {}
            }
            XCTFail("it is no number")
        } catch {
            guard case .invalidAudio? = error as? SottoError else { return XCTFail("\(error)") }
        }
        microphone.finish()
    }

    func testOptionsWithoutSenseAreNamed() async throws {
        let recognizer = try await Fixtures.recognizer()
        let changes: [(inout SpeechOptions) -> Void] = [
            { $0.search.beam = 0 }, { $0.search.beam = .max }, { $0.search.patience = .nan },
            { $0.search.temperatures = [.nan] }, { $0.search.temperatures = [-1] },
            {
                $0.hotwords = ["a"]
                $0.hotwordStrength = .infinity
            },
            { $0.search.compressionRatio = .nan }, { $0.search.logProbability = .nan }, { $0.search.noSpeech = .nan },
            { $0.task = .translate },
        ]
        for (number, change) in changes.enumerated() {
            var options = SpeechOptions()
            change(&options)
            do {
                _ = try await recognizer.transcribe(.file(Fixtures.demo), options: options)
                XCTFail("change \(number) was taken")
            } catch {
                guard case .invalidOption = error else { XCTFail("change \(number): \(error)"); continue }
            }
        }
        for step in [Double.nan, -1, 0, .infinity] {
            var options = LiveOptions()
            options.step = step
            do {
                _ = try recognizer.startSession(options: options)
                XCTFail("a step of \(step) was taken")
            } catch {
                guard case .invalidOption = error else { XCTFail("step \(step): \(error)"); continue }
            }
        }
    }
}

/// What a session makes of what was pushed, when it has ended.
private func text(of session: SpeechSession) async throws -> String {
    try await within {
        var text = ""
        for try await event in session.events {
            if case .final(let words) = event { text += words.text }
        }
        return text
    }
}

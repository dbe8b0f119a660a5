import Foundation
import Sotto
import SottoStarter
import XCTest

/// What apps rely on beyond the table of cases.
final class RecognizerTests: XCTestCase {
    func testFiveLinesTranscribeWithTheStarterModel() async throws {
        let recognizer = try await SpeechRecognizer.load(StarterModel.speech(), engine: Fixtures.engine)
        let text = try await recognizer.transcribe(.file(Fixtures.demo)).text
        XCTAssertTrue(text.contains("quarter past nine"), text)
    }

    func testLoadingTheSameModelTwiceSharesIt() async throws {
        let engine = try SottoEngine(.init(threads: 2))
        let first = try await SpeechRecognizer.load(.file(Fixtures.starter), engine: engine)
        let used = engine.memoryUsed
        let second = try await SpeechRecognizer.load(.file(Fixtures.starter), engine: engine)
        XCTAssertEqual(engine.loadedModels.count, 1)
        XCTAssertEqual(engine.memoryUsed, used)
        XCTAssertEqual(try first.info(), try second.info())
    }

    func testProgressOfLoadingGrowsToTheEnd() async throws {
        let engine = try SottoEngine(.init(threads: 2))
        let seen = Locked<[Double]>([])
        _ = try await SpeechRecognizer.load(.file(Fixtures.starter), engine: engine) { part in
            seen.withLock { $0.append(part) }
        }
        let parts = seen.withLock { $0 }
        XCTAssertEqual(parts, parts.sorted())
        XCTAssertTrue(parts.allSatisfy { (0...1).contains($0) }, "\(parts)")
    }

    func testAnUnloadedModelSaysWhatToDo() async throws {
        let engine = try SottoEngine(.init(threads: 2))
        let recognizer = try await SpeechRecognizer.load(.file(Fixtures.starter), engine: engine)
        recognizer.unload()
        XCTAssertEqual(engine.loadedModels, [])
        XCTAssertThrowsError(try recognizer.info()) { error in
            guard case SottoError.unloaded(_, let nextStep) = error else { return XCTFail("\(error)") }
            XCTAssertFalse(nextStep.isEmpty)
        }
    }

    func testMemoryIsGivenBackWithTheLastUser() async throws {
        let engine = try SottoEngine(.init(threads: 2))
        do {
            let recognizer = try await SpeechRecognizer.load(.file(Fixtures.starter), engine: engine)
            _ = try await recognizer.transcribe(.file(Fixtures.demo))
            XCTAssertGreaterThan(engine.memoryUsed, 0)
        }
        try await untilHeld(by: engine)
        XCTAssertEqual(engine.memoryUsed, 0)
    }

    func testPathsAndTextsOutsideASCIIPassThrough() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("größe 日本語 🎤 \(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let copy = folder.appendingPathComponent("aufnahme é.flac")
        try FileManager.default.copyItem(at: Fixtures.demo, to: copy)
        let recognizer = try await Fixtures.recognizer()
        var options = SpeechOptions()
        options.prefix = "Größe, 日本 🎤"
        let text = try await recognizer.transcribe(.file(copy), options: options).text
        XCTAssertTrue(text.contains("Größe, 日本 🎤"), text)
    }

    func testEveryOptionChangesTheResultThatItShould() async throws {
        let recognizer = try await Fixtures.recognizer()
        func text(_ change: (inout SpeechOptions) -> Void) async throws -> Transcript {
            var options = SpeechOptions()
            change(&options)
            return try await recognizer.transcribe(.file(Fixtures.demo), options: options)
        }
        let plain = try await text { _ in }
        let without = try await text { $0.timestamps = .none }
        XCTAssertLessThanOrEqual(without.segments.count, plain.segments.count)
        let timed = try await text { $0.timestamps = .word }
        XCTAssertTrue(plain.segments.allSatisfy(\.words.isEmpty))
        XCTAssertFalse(timed.segments.flatMap(\.words).isEmpty)
        let short = try await text {
            $0.maxTokens = 4
            $0.asWritten = true
        }
        XCTAssertLessThan(short.text.count, plain.text.count)
        let tokens = plain.segments.flatMap(\.tokens)
        let suppressed = try await text { $0.suppressedTokens = Array(tokens.prefix(8)) }
        XCTAssertNotEqual(suppressed.text, plain.text)
        let beam = try await text { $0.search = .init(beam: 4) }
        XCTAssertGreaterThan(beam.timing.decode, 0)
        let trueLength = try await text { $0.context = .trueLength }
        let window = try await text { $0.context = .window }
        XCTAssertEqual(trueLength.segments.map(\.averageLogProbability), plain.segments.map(\.averageLogProbability))
        XCTAssertNotEqual(window.segments.map(\.averageLogProbability), plain.segments.map(\.averageLogProbability))
    }

    func testSixteenSessionsAtOnceHearTheSame() async throws {
        let recognizer = try await Fixtures.recognizer()
        let pcm = try Data(contentsOf: Fixtures.pcm)
        let texts = try await within(seconds: 300) {
            try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<16 {
                    group.addTask {
                        let session = try recognizer.startSession()
                        try session.push(pcm)
                        session.finish()
                        var text = ""
                        for try await event in session.events {
                            if case .final(let words) = event { text += words.text }
                        }
                        return text
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
        }
        XCTAssertEqual(Set(texts).count, 1, "\(Set(texts))")
        XCTAssertTrue(texts[0].contains("airport"), texts[0])
    }

    func testListeningToAStreamOfSamples() async throws {
        let recognizer = try await Fixtures.recognizer()
        let pcm = try Data(contentsOf: Fixtures.pcm)
        let audio = AsyncStream<Data> { continuation in
            for start in stride(from: 0, to: pcm.count, by: 640) {
                continuation.yield(pcm.subdata(in: start..<min(start + 640, pcm.count)))
            }
            continuation.finish()
        }
        let text = try await within {
            var text = ""
            for try await event in recognizer.listen(to: audio) {
                if case .final(let words) = event { text += words.text }
            }
            return text
        }
        XCTAssertTrue(text.contains("airport"), text)
    }

    func testSubtitlesAndCuesSayTheSame() async throws {
        let recognizer = try await Fixtures.recognizer()
        let segments = try await recognizer.transcribe(.file(Fixtures.demo)).segments
        let cues = try Subtitles.cues(of: segments)
        let file = try Subtitles.file(of: segments, format: .srt)
        XCTAssertFalse(cues.isEmpty)
        for line in cues.flatMap(\.lines) { XCTAssertTrue(file.contains(line), line) }
        var options = Subtitles.Options()
        options.maxLineLength = 3
        XCTAssertThrowsError(try Subtitles.cues(of: segments, options: options))
    }

    func testErrorsSayWhatToDoAndNeverWhatWasSaid() async throws {
        let recognizer = try await Fixtures.recognizer()
        var options = SpeechOptions()
        options.prompt = "my secret words"
        options.language = "klingon"
        do {
            _ = try await recognizer.transcribe(.file(Fixtures.demo), options: options)
            XCTFail("nobody speaks that")
        } catch {
            XCTAssertFalse("\(error)".contains("secret"))
            XCTAssertFalse(error.nextStep.isEmpty)
        }
    }
}

import Foundation
import Sotto
import XCTest

/// Runs the table that all surfaces share: `bindings/conformance/README.md`.
final class ConformanceTests: XCTestCase {
    func testEveryCaseOfTheTableHolds() async throws {
        let table = try JSON(JSONSerialization.jsonObject(with: Data(contentsOf: Fixtures.table)))
        let place = try Place()
        var ran = 0
        for test in table["cases"].array {
            let surfaces = test["surfaces"].array.map(\.string)
            guard surfaces.isEmpty || surfaces.contains("swift") else { continue }
            let outcome = try await within { try await Case(test: test, place: place).run() }
            for problem in outcome.problems(test["expect"]) { XCTFail("\(test["name"].string): \(problem)") }
            ran += 1
        }
        XCTAssertGreaterThan(ran, 30, "the table was read")
    }
}

/// A value of the table.
struct JSON: @unchecked Sendable {
    let value: Any?

    init(_ value: Any?) { self.value = value }

    subscript(key: String) -> JSON { JSON((value as? [String: Any])?[key]) }
    var array: [JSON] { (value as? [Any] ?? []).map(JSON.init) }
    var object: [String: JSON] { (value as? [String: Any] ?? [:]).mapValues(JSON.init) }
    var string: String { value as? String ?? "" }
    var text: String? { value as? String }
    var number: Double? { (value as? NSNumber)?.doubleValue }
    var isPresent: Bool { value != nil && !(value is NSNull) }
    /// One name, or several.
    var names: [String] { text.map { [$0] } ?? array.map(\.string) }
}

/// A folder with everything that the table names as a file.
final class Place: Sendable {
    let folder: URL
    let pcm: Data
    private let inFront = 4099

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("sotto-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let (starter, demo) = (try Data(contentsOf: Fixtures.starter), try Data(contentsOf: Fixtures.demo))
        pcm = try Data(contentsOf: Fixtures.pcm)
        let text = Data("This is no model, and no recording either.\n".utf8)
        let files = [
            "starter.sotto": starter, "cut.sotto": starter.prefix(starter.count / 2), "text.sotto": text,
            "empty.sotto": Data(), "demo.flac": demo, "cut.flac": demo.prefix(demo.count / 2), "text.wav": text,
            "demo.inside": Data(repeating: 7, count: inFront) + demo + Data(repeating: 9, count: 100),
        ]
        for (name, bytes) in files { try bytes.write(to: folder.appendingPathComponent(name)) }
    }

    deinit {
        try? FileManager.default.removeItem(at: folder)
    }

    func model(_ name: String) -> ModelSource { .file(folder.appendingPathComponent("\(name).sotto")) }

    func recording(_ name: String) -> URL {
        let files = ["demo": "demo.flac", "cut": "cut.flac", "text": "text.wav", "missing": "missing.wav"]
        return folder.appendingPathComponent(files[name] ?? name)
    }

    func input(_ test: JSON) throws -> AudioSource {
        let name = test["input"].string
        switch test["as"].text ?? "path" {
        case "bytes": return .data(try Data(contentsOf: recording(name)), name: name)
        case "samples": return .samples(samples(name), format: PCMFormat())
        case "descriptor":
            let length = try Data(contentsOf: recording(name)).count
            let file = try FileHandle(forReadingFrom: folder.appendingPathComponent("\(name).inside"))
            // The library duplicates it, when the job is started: until then it must stay open.
            openFiles.withLock { $0.append(file) }
            return .descriptor(
                file.fileDescriptor, offset: UInt64(inFront), length: UInt64(length), name: name)
        default: return .file(recording(name))
        }
    }

    private let openFiles = Locked<[FileHandle]>([])

    func samples(_ name: String) -> Data {
        switch name {
        case "demo": pcm
        case "silence": Data(count: 64_000)
        default: Data()
        }
    }

    /// Samples in a format: at another rate each one is repeated, which is enough for speech to be understood.
    func samples(_ name: String, as format: PCMFormat) -> Data {
        let copies = Int(max(format.rate / 16_000, 1)) * Int(format.channels)
        var result = Data()
        samples(name).withUnsafeBytes { raw in
            for sample in raw.bindMemory(to: Int16.self) {
                for _ in 0..<copies {
                    switch format.encoding {
                    case .signed16: withUnsafeBytes(of: sample.littleEndian) { result.append(contentsOf: $0) }
                    case .float32:
                        let bits = (Float(sample) / 32_768).bitPattern.littleEndian
                        withUnsafeBytes(of: bits) { result.append(contentsOf: $0) }
                    }
                }
            }
        }
        return result
    }
}

/// A value behind a lock.
final class Locked<Value>: @unchecked Sendable {
    private let lock = NSLock()
    private var value: Value

    init(_ value: Value) { self.value = value }

    func withLock<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        lock.lock()
        defer { lock.unlock() }
        return try body(&value)
    }
}

/// What came out of a case.
struct Outcome: Sendable {
    var error: SottoError?
    var transcript: Transcript?
    var events: [String] = []
    var finals = ""
    var language: String?
    var voice: Int?
    var file: String?
    var end: String?

    /// Notes an event; several of a kind in a row count once, and progress not at all: how often it is pulled is a
    /// matter of time.
    mutating func note(_ kind: String) {
        if kind != "progress", events.last != kind { events.append(kind) }
    }

    func problems(_ expect: JSON) -> [String] {
        var problems: [String] = []
        if !expect["error"].isPresent, !expect["ends"].isPresent, let error { problems.append("failed: \(error)") }
        for (key, wanted) in expect.object where !holds(key, wanted) {
            problems.append("\(key) is not \(wanted.value ?? "nil"): \(self)")
        }
        return problems
    }

    private func holds(_ key: String, _ wanted: JSON) -> Bool {
        let text = transcript?.text ?? ""
        switch key {
        case "words": return TextMetrics.normalizeEnglish(text) == wanted.string
        case "text_has": return text.contains(wanted.string)
        case "text_is": return transcript != nil && text == wanted.string
        case "segments": return transcript.map { Double($0.segments.count) } == wanted.number
        case "words_timed": return wordsAreTimed()
        case "warnings": return transcript.map { !$0.warnings.isEmpty } == (wanted.number == 1)
        case "language": return (language ?? transcript?.language) == wanted.string
        case "events": return events == wanted.array.map(\.string).filter { $0 != "progress" }
        case "final_words_have" where wanted.string.isEmpty:
            return finals.allSatisfy(\.isWhitespace)
        case "final_words_have": return TextMetrics.normalizeEnglish(finals).contains(wanted.string)
        case "error": return error.map { wanted.names.contains(name($0)) } ?? false
        case "error_has": return error.map { "\($0)".contains(wanted.string) } ?? false
        case "ends": return end.map { wanted.names.contains($0) } ?? false
        case "voice": return voice.map(Double.init) == wanted.number
        case "voice_at_least": return voice.map { Double($0) >= wanted.number ?? .infinity } ?? false
        case "file_has": return file?.contains(wanted.string) ?? false
        case "file_starts": return file?.hasPrefix(wanted.string) ?? false
        default:
            XCTFail("nothing is known of `\(key)`")
            return false
        }
    }

    private func wordsAreTimed() -> Bool {
        let words = transcript?.segments.flatMap(\.words) ?? []
        return !words.isEmpty && words.allSatisfy { $0.start < $0.end }
            && zip(words, words.dropFirst()).allSatisfy { $0.end <= $1.start + 1e-6 }
    }
}

/// The case of an error as the table names it.
func name(_ error: SottoError) -> String {
    switch error {
    case .cancelled: "Cancelled"
    case .invalidModel: "InvalidModel"
    case .outOfBudget: "OutOfBudget"
    case .unsupportedDevice: "UnsupportedDevice"
    case .invalidAudio: "InvalidAudio"
    case .invalidOption: "InvalidOption"
    case .unloaded: "Unloaded"
    case .behind: "Behind"
    case .ended: "Ended"
    case .internal: "Internal"
    }
}

import Foundation
import Sotto
import XCTest

/// A case of the table, run.
struct Case: Sendable {
    let test: JSON
    let place: Place

    func run() async throws -> Outcome {
        var outcome = Outcome()
        if test["run"].string == "race" {
            outcome.end = try await ended { try await race() }
            return outcome
        }
        do {
            switch test["run"].string {
            case "load": _ = try await load()
            case "transcribe", "subtitles": try await transcribe(&outcome)
            case "stream": try await stream(&outcome)
            case "detect_language":
                outcome.language = try await load().detectLanguage(of: place.input(test)).code
            case "voice_activity":
                let options = voiceActivity(test["settings"])
                outcome.voice = try await engine().findSpeech(in: place.input(test), options: options).count
            default: XCTFail("a run of kind \(test["run"].string)")
            }
        } catch let error as SottoError {
            outcome.error = error
        }
        return outcome
    }

    private func engine() throws -> SottoEngine {
        let limit = test["engine"]["memory_limit"].number.map { UInt64($0) }
        return try SottoEngine(.init(threads: 2, memoryLimit: limit))
    }

    private func load() async throws -> SpeechRecognizer {
        try await SpeechRecognizer.load(place.model(test["model"].text ?? "starter"), engine: engine())
    }

    private func transcribe(_ outcome: inout Outcome) async throws {
        let recognizer = try await load()
        let options = speechOptions(test["settings"])
        for try await event in try recognizer.transcription(of: place.input(test), options: options) {
            switch event {
            case .progress: outcome.note("progress")
            case .segment: outcome.note("segment")
            case .finished(let transcript):
                outcome.note("finished")
                outcome.transcript = transcript
            }
        }
        if let format = test["subtitle_format"].text {
            let segments = outcome.transcript?.segments ?? []
            outcome.file = try Subtitles.file(of: segments, format: format == "srt" ? .srt : .vtt)
        }
    }

    private func stream(_ outcome: inout Outcome) async throws {
        let recognizer = try await load()
        let wanted = test["format"]
        let format = PCMFormat(
            encoding: wanted["encoding"].string == "s16" ? .signed16 : .float32,
            rate: UInt32(wanted["rate"].number ?? 0), channels: UInt16(wanted["channels"].number ?? 0))
        var options = LiveOptions()
        if test["settings"]["speech"].isPresent { options.speech = speechOptions(test["settings"]["speech"]) }
        let session = try recognizer.startSession(format: format, options: options)
        let samples = place.samples(test["input"].string, as: format)
        let sample = format.encoding == .signed16 ? 2 : 4
        let perSecond = Int(format.rate) * Int(format.channels) * sample
        let piece = max(perSecond * Int(test["push_ms"].number ?? 20) / 1000, 1)
        for start in stride(from: 0, to: samples.count, by: piece) {
            try session.push(samples.subdata(in: start..<min(start + piece, samples.count)))
        }
        session.finish()
        for try await event in session.events {
            switch event {
            case .volatile: outcome.note("volatile")
            case .final(let text):
                outcome.note("final")
                outcome.finals += text.text
            }
        }
    }

    private func voiceActivity(_ settings: JSON) -> VoiceActivityOptions {
        var options = VoiceActivityOptions()
        options.threshold = settings["threshold"].number.map(Float.init)
        return options
    }

    private func speechOptions(_ settings: JSON) -> SpeechOptions {
        var options = SpeechOptions()
        if let language = settings["language"].text { options.language = .named(language) }
        if settings["task"].string == "translate" { options.task = .translate }
        if settings["timestamps"].string == "word" { options.timestamps = .word }
        if let beam = settings["search"]["beam"].number { options.search = .init(beam: UInt32(beam)) }
        if settings["context"].string == "true_length" { options.context = .trueLength }
        if settings["voice_activity"].isPresent { options.voiceActivity = voiceActivity(settings["voice_activity"]) }
        options.prefix = settings["prefix"].text
        return options
    }

    // MARK: races

    private func ended(_ body: () async throws -> Void) async throws -> String {
        do {
            try await body()
            return "done"
        } catch let error as SottoError {
            return name(error)
        }
    }

    private enum Job {
        case load(Task<SpeechRecognizer, any Error>)
        case transcription(Transcription, Transcription.Iterator)
        case session(SpeechSession, SpeechSession.Events.Iterator)
    }

    private func race() async throws {
        let engine = try engine()
        let model =
            test["model"].isPresent
            ? try await SpeechRecognizer.load(place.model("starter"), engine: engine) : nil
        var job: Job?
        for step in test["steps"].array.map(\.string) {
            switch step {
            case "load":
                let source = place.model("starter")
                job = .load(Task { try await SpeechRecognizer.load(source, engine: engine) })
            case "transcribe":
                let transcription = try XCTUnwrap(model).transcription(of: .file(Fixtures.demo))
                job = .transcription(transcription, transcription.makeAsyncIterator())
            case "stream":
                let session = try XCTUnwrap(model).startSession()
                job = .session(session, session.events.makeAsyncIterator())
            case "push":
                guard case .session(let session, _) = job else { return XCTFail("no session") }
                try session.push(place.pcm)
            case "finish":
                guard case .session(let session, _) = job else { return XCTFail("no session") }
                session.finish()
            case "next": _ = try await next(&job)
            case "drain": while try await next(&job) {}
            case "cancel":
                switch job {
                case .load(let task): task.cancel()
                case .transcription(let transcription, _): transcription.cancel()
                case .session(let session, _): session.cancel()
                case nil: XCTFail("nothing to cancel")
                }
            case "drop": job = nil
            case "unload": try XCTUnwrap(model).unload()
            case "trim": engine.trim(.idle)
            default: XCTFail("a step called \(step)")
            }
        }
    }

    /// Whether there was another event.
    private func next(_ job: inout Job?) async throws -> Bool {
        switch job {
        case .load(let task):
            _ = try await task.value
            job = nil
            return false
        case .transcription(let transcription, var iterator):
            let event = try await iterator.next()
            job = .transcription(transcription, iterator)
            return event != nil
        case .session(let session, var iterator):
            let event = try await iterator.next()
            job = .session(session, iterator)
            return event != nil
        case nil: return false
        }
    }
}

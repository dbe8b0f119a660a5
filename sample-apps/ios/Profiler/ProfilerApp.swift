import Foundation
import SampleModels
import Sotto
import SottoStarter
import SwiftUI

@main
struct ProfilerApp: App {
    @State private var model = ProfilerModel(begin: ProfilerApp.begin, reading: { .current() })

    var body: some Scene {
        WindowGroup {
            ProfilerView(model: model)
        }
    }

    nonisolated private static func begin() throws -> SpeechProfile {
        guard let demo = Bundle.main.url(forResource: "demo", withExtension: "flac") else {
            throw SottoError.invalidAudio(reason: "demo.flac is not in the app", nextStep: "add it to the target")
        }
        let clip = SpeechProfile.Clip(name: "demo", audio: .file(demo), text: demoText)
        return try SpeechProfile(
            of: StarterModel.speech(), clips: [clip], options: .init(model: "starter", device: "this device"))
    }

    /// What is said in the demo recording.
    nonisolated private static let demoText =
        "Good morning. The train to the airport leaves at a quarter past nine. Please don't forget your umbrella."
}

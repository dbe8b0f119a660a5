import Foundation
import SampleModels
import Sotto
import SwiftUI

@main
struct SpeechApp: App {
    @State private var models = SpeechApp.modelList()

    var body: some Scene {
        WindowGroup {
            TabView {
                CaptionsView(model: CaptionsModel(load: load, listen: listen))
                    .tabItem { Label("captions", systemImage: "captions.bubble") }
                FileView(model: FileModel(load: load))
                    .tabItem { Label("files", systemImage: "doc.text") }
                ModelsView(model: models)
                    .tabItem { Label("models", systemImage: "square.and.arrow.down") }
            }
        }
    }

    private static func modelList() -> ModelListModel {
        let folder = URL.applicationSupportDirectory.appending(path: "models")
        do { return ModelListModel(store: try ModelStore(folder: folder)) } catch { fatalError("\(error)") }
    }

    private var load: @Sendable () async throws -> SpeechRecognizer {
        { [models] in try await SpeechRecognizer.load(models.source()) }
    }

    private var listen: @Sendable () async throws -> CaptionsModel.Audio {
        {
            let microphone = try Microphone()
            return .init(samples: microphone.samples(), format: microphone.format)
        }
    }
}

import Foundation
import SampleModels
import Sotto
import SwiftUI

@main
struct SpeechApp: App {
    // Made once, not with every body: they hold what runs.
    @State private var models: ModelListModel
    @State private var captions: CaptionsModel
    @State private var files: FileModel

    init() {
        let folder = URL.applicationSupportDirectory
        let saved = SavedState(file: folder.appending(path: "state.json"))
        let models = SpeechApp.modelList(in: folder.appending(path: "models"), saved: saved)
        let load: @Sendable () async throws -> SpeechRecognizer = { try await models.load() }
        _models = State(wrappedValue: models)
        _captions = State(wrappedValue: CaptionsModel(saved: saved, load: load, listen: SpeechApp.listen))
        _files = State(wrappedValue: FileModel(load: load))
    }

    var body: some Scene {
        WindowGroup {
            TabView {
                CaptionsView(model: captions).tabItem { Label("captions", systemImage: "captions.bubble") }
                FileView(model: files).tabItem { Label("files", systemImage: "doc.text") }
                ModelsView(model: models).tabItem { Label("models", systemImage: "square.and.arrow.down") }
            }
        }
    }

    private static func modelList(in folder: URL, saved: SavedState) -> ModelListModel {
        do { return ModelListModel(store: try ModelStore(folder: folder), saved: saved) } catch {
            fatalError("\(error)")
        }
    }

    private static let listen: @Sendable () async throws -> CaptionsModel.Audio = {
        let microphone = try Microphone()
        return .init(samples: microphone.samples(), format: microphone.format)
    }
}

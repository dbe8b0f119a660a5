import SampleModels
import Sotto
import SwiftUI

/// Starts a profile, shows how far it is, and shares the report.
struct ProfilerView: View {
    let model: ProfilerModel

    var body: some View {
        VStack(spacing: 16) {
            switch model.state {
            case .idle:
                Text("profiler.explained")
                Button("start") { model.start() }.buttonStyle(.borderedProminent).frame(minHeight: 48)
            case .running(let part):
                ProgressView(value: part).accessibilityLabel("profiler.progress")
                Button("profiler.end") { model.endEarly() }.frame(minHeight: 48)
                Button("stop") { model.cancel() }.frame(minHeight: 48)
            case .done:
                if let report = model.report {
                    Text(verdict(report.validity)).font(.title2)
                    ForEach(report.reasons, id: \.self) { Text($0) }
                    if let files = try? model.export() {
                        ForEach(files, id: \.self) { ShareLink(item: $0).frame(minHeight: 48) }
                    }
                }
                Button("start") { model.start() }.frame(minHeight: 48)
            case .failed(let reason):
                Text(reason).foregroundStyle(.red)
                Button("start") { model.start() }.frame(minHeight: 48)
            }
        }
        .padding()
    }

    private func verdict(_ validity: SpeechProfile.Validity) -> LocalizedStringKey {
        switch validity {
        case .valid: "profiler.valid"
        case .semivalid: "profiler.semivalid"
        case .invalid: "profiler.invalid"
        }
    }
}

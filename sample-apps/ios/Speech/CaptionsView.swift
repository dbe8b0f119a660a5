import SampleModels
import SwiftUI

/// Live captions: what is final in the label's colour, what may still change in grey.
struct CaptionsView: View {
    let model: CaptionsModel

    var body: some View {
        VStack(alignment: .leading, spacing: 16) {
            ScrollView {
                (Text(model.finalText) + Text(model.volatileText).foregroundStyle(.secondary))
                    .font(.title2)
                    .frame(maxWidth: .infinity, alignment: .leading)
                    .accessibilityLabel("captions")
                    .accessibilityValue(model.finalText + model.volatileText)
            }
            if case .failed(let reason) = model.state {
                Text(reason).foregroundStyle(.red).font(.callout)
            }
            Button(model.isRunning ? "stop" : "start") { model.toggle() }
                .buttonStyle(.borderedProminent)
                .frame(maxWidth: .infinity, minHeight: 48)
                .accessibilityHint("captions.hint")
        }
        .padding()
    }
}

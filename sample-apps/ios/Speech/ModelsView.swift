import SampleModels
import Sotto
import SwiftUI

/// Which models are here, how large they are, and which can be fetched.
struct ModelsView: View {
    let model: ModelListModel

    var body: some View {
        List {
            Section("models.here") {
                row(Text("models.starter"), size: nil, isChosen: model.chosen == nil) { model.chosen = nil }
                ForEach(model.models) { stored in
                    row(Text(verbatim: stored.name), size: stored.bytes, isChosen: model.chosen == stored.name) {
                        model.chosen = stored.name
                    }
                }
            }
            Section("models.offered") {
                ForEach(ModelListModel.offers) { offer in
                    offered(offer)
                }
            }
            if let problem = model.problem {
                Text(problem).foregroundStyle(.red).font(.callout)
            }
        }
    }

    private func row(
        _ title: Text, size: UInt64?, isChosen: Bool, choose: @escaping @MainActor () -> Void
    ) -> some View {
        Button(action: choose) {
            VStack(alignment: .leading) {
                title
                if let size {
                    Text(Int64(size).formatted(.byteCount(style: .file))).font(.caption).foregroundStyle(.secondary)
                }
            }
        }
        .frame(minHeight: 48)
        .accessibilityValue(isChosen ? Text("models.chosen") : Text(verbatim: ""))
    }

    @ViewBuilder private func offered(_ offer: ModelListModel.Offer) -> some View {
        if let progress = model.progress[offer.id] {
            VStack(alignment: .leading) {
                Text(offer.title)
                ProgressView(value: part(of: progress)).accessibilityLabel(offer.title)
                Button("stop") { model.cancel(offer) }.frame(minHeight: 48)
            }
        } else {
            Button(offer.title) { model.pull(offer) }.frame(minHeight: 48)
        }
    }

    private func part(of progress: ModelStore.Progress) -> Double {
        switch progress {
        case .bytes(let done, let total), .checked(let done, let total):
            guard let total, total > 0 else { return 0 }
            return min(Double(done) / Double(total), 1)
        }
    }
}

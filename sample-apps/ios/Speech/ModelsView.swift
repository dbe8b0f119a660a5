import SampleModels
import Sotto
import SwiftUI

/// Which models are here, how large they are, and which can be fetched.
struct ModelsView: View {
    let model: ModelListModel

    var body: some View {
        List {
            Section("models.here") {
                row(Text("models.starter"), of: nil) { model.chosen = nil }
                ForEach(model.models) { stored in
                    row(Text(verbatim: stored.name), of: stored) { model.chosen = stored.name }
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
        _ title: Text, of stored: ModelStore.Model?, choose: @escaping @MainActor () -> Void
    ) -> some View {
        Button(action: choose) {
            VStack(alignment: .leading) {
                title
                if let size = stored?.bytes {
                    Text(Int64(size).formatted(.byteCount(style: .file))).font(.caption).foregroundStyle(.secondary)
                }
                state(model.states[stored?.id ?? ModelListModel.starter] ?? .notLoaded)
            }
        }
        .frame(minHeight: 48)
        .accessibilityValue(model.chosen == stored?.name ? Text("models.chosen") : Text(verbatim: ""))
        .task(id: stored?.id) { await model.watch(stored) }
    }

    /// What has become of a model in memory.
    @ViewBuilder private func state(_ state: ModelState) -> some View {
        switch state {
        case .notLoaded, .unloaded: EmptyView()
        case .loading(let part): ProgressView(value: part).accessibilityLabel("models.loading")
        case .ready: Text("models.ready").font(.caption).foregroundStyle(.secondary)
        case .failed: Text("models.failed").font(.caption).foregroundStyle(.red)
        }
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

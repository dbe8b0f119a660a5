import SampleModels
import SwiftUI
import UniformTypeIdentifiers

/// A recording becomes text, and subtitles to share.
struct FileView: View {
    let model: FileModel
    @State private var isChoosing = false

    var body: some View {
        VStack(alignment: .leading, spacing: 16) {
            ScrollView {
                LazyVStack(alignment: .leading, spacing: 8) {
                    ForEach(model.segments.indices, id: \.self) { index in
                        Text(model.segments[index].text).frame(maxWidth: .infinity, alignment: .leading)
                    }
                }
            }
            switch model.state {
            case .working(let part):
                ProgressView(value: part ?? 0).accessibilityLabel("files.progress")
                Button("stop") { model.cancel() }.frame(minHeight: 48)
            case .failed(let reason):
                Text(reason).foregroundStyle(.red).font(.callout)
            case .done:
                if let url = try? model.subtitles() { ShareLink(item: url).frame(minHeight: 48) }
            case .idle:
                EmptyView()
            }
            Button("files.choose") { isChoosing = true }
                .buttonStyle(.borderedProminent)
                .frame(maxWidth: .infinity, minHeight: 48)
        }
        .padding()
        .fileImporter(isPresented: $isChoosing, allowedContentTypes: [.audio]) { result in
            if case .success(let url) = result { model.transcribe(url) }
        }
    }
}

public import Foundation
internal import SottoBindings

extension SottoEngine {
    /// Bits of packed weights.
    public enum PackedWeights: Sendable, Equatable {
        /// 8 bits: no more errors than the original.
        case int8
        /// 4 bits in the decoder: a third smaller, a little less exact.
        case int4
    }

    /// Packs a model into one file that is mapped and used where it lies; its size in bytes. With `compact` it is small
    /// rather than mapped as a whole. There is a whole file at `destination` or none.
    @discardableResult
    public func pack(
        _ source: ModelSource, to destination: URL, weights: PackedWeights = .int8, compact: Bool = false,
        replacing: Bool = false, progress: (@Sendable (UInt64, UInt64?) -> Void)? = nil
    ) async throws(SottoError) -> UInt64 {
        let settings = PackSettings(
            weights: weights == .int4 ? .int4 : .int8, compact: compact, replace: replacing)
        let path = try destination.localPath { reason in
            SottoError.invalidOption(option: "destination", reason: reason, nextStep: "name a file of this device")
        }
        let job = try call { try raw.pack(location: source.location, destination: path, settings: settings) }
        while let event = try await pull(cancel: { job.cancel() }, { try await job.nextEvent() }) {
            switch event {
            case .progress(let done, let total): progress?(done, total)
            case .finished(let bytes, _): return bytes
            }
        }
        throw .internal(reason: "packing ended without a file", nextStep: "report it with this text")
    }
}

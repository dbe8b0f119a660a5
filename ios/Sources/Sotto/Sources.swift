public import Foundation
internal import SottoBindings

/// Where a model is.
public enum ModelSource: Sendable, Equatable {
    /// A folder, a ggml file or a packed model. Packed files are mapped: they cost no memory of their own.
    case file(URL)
    /// A packed model in memory. Copied once.
    case data(Data, name: String)
    /// A packed model inside an open file, mapped where it lies. The descriptor is duplicated: close yours at any time.
    case descriptor(Int32, offset: UInt64, length: UInt64, name: String)

    var location: ModelLocation {
        get throws(SottoError) {
            switch self {
            case .file(let url):
                return .path(
                    path: try url.localPath { reason in
                        SottoError.invalidModel(reason: reason, nextStep: "fetch the model first, as ModelStore does")
                    })
            case .data(let data, let name): return .bytes(name: name, bytes: data)
            case .descriptor(let descriptor, let offset, let length, let name):
                return .descriptor(name: name, descriptor: descriptor, offset: offset, length: length)
            }
        }
    }
}

/// Where a recording is.
public enum AudioSource: Sendable, Equatable {
    /// A file of any format that Sotto reads.
    case file(URL)
    /// The bytes of such a file.
    case data(Data, name: String)
    /// Such a file inside an open file. The descriptor is duplicated: close yours at any time.
    case descriptor(Int32, offset: UInt64, length: UInt64, name: String)
    /// Samples.
    case samples(Data, format: PCMFormat)

    var input: AudioInput {
        get throws(SottoError) {
            switch self {
            case .file(let url):
                return .path(
                    path: try url.localPath { reason in
                        SottoError.invalidAudio(reason: reason, nextStep: "fetch the recording first")
                    })
            case .data(let data, let name): return .bytes(name: name, bytes: data)
            case .descriptor(let descriptor, let offset, let length, let name):
                return .descriptor(name: name, descriptor: descriptor, offset: offset, length: length)
            case .samples(let pcm, let format): return .samples(pcm: pcm, format: format.raw)
            }
        }
    }
}

extension URL {
    /// The path of a file; `refusal` makes the error for any other address.
    func localPath<Refusal: Error>(_ refusal: (_ reason: String) -> Refusal) throws(Refusal) -> String {
        guard isFileURL else {
            throw refusal("an address that begins with \(scheme ?? "nothing") is no file of this device")
        }
        return path
    }
}

/// Which channel of a recording is heard.
public enum AudioChannel: Sendable, Equatable {
    /// All together; one alone where they cancel each other.
    case mix
    /// The first one.
    case left
    /// The second one.
    case right

    var raw: SottoBindings.AudioChannel {
        switch self {
        case .mix: .mix
        case .left: .left
        case .right: .right
        }
    }
}

/// Format of raw samples.
public struct PCMFormat: Sendable, Equatable {
    /// How a sample is written.
    public enum Encoding: Sendable, Equatable {
        /// Two bytes, little-endian.
        case signed16
        /// Four bytes, little-endian, -1 to 1.
        case float32
    }

    /// How a sample is written.
    public var encoding: Encoding
    /// Samples per second and channel.
    public var rate: UInt32
    /// Interleaved channels; they are mixed.
    public var channels: UInt16

    /// 16-bit samples, 16 kHz, mono, unless something else is said.
    public init(encoding: Encoding = .signed16, rate: UInt32 = 16_000, channels: UInt16 = 1) {
        self.encoding = encoding
        self.rate = rate
        self.channels = channels
    }

    var raw: PcmFormat {
        PcmFormat(encoding: encoding == .signed16 ? .signed16 : .float32, rate: rate, channels: channels)
    }
}

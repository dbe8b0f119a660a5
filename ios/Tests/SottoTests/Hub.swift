import Foundation

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A hub like the public one on this machine, with one repository: descriptions as JSON, weights on a storage of their
/// own behind a redirect. Plain HTTP/1.1, one request for each connection.
final class Hub: @unchecked Sendable {
    static let repository = "openai/whisper-nano"
    static let commit = String(repeating: "a", count: 40)
    static let weights = Data(noise(400_000))

    /// What is asked of the hub beyond serving files.
    struct Mood {
        /// Bytes of the weights after which the connection is closed, this many times.
        var breaks: (after: Int, times: Int)?
        /// Bytes of the weights after which nothing more comes.
        var stallsAfter: Int?
        /// Whether a byte of the weights is another one than was published.
        var corrupts = false
        /// The access token that is wanted.
        var token: String?
        /// Requests of a path are answered with this status alone.
        var status: (path: String, code: Int)?
    }

    /// A request that came.
    struct Request: Sendable {
        var method: String
        var path: String
        var headers: [String: String]
    }

    var mood: Mood {
        get { lock.withLock { state.mood } }
        set { lock.withLock { state.mood = newValue } }
    }
    /// Makes the storage a folder that can be pulled from.
    var manifest: Data? {
        get { lock.withLock { state.manifest } }
        set { lock.withLock { state.manifest = newValue } }
    }
    /// All requests until now.
    var requests: [Request] { lock.withLock { state.requests } }
    /// Whether a connection stands still, as the mood wants it.
    var isStalled: Bool { lock.withLock { state.stalled } }
    var address: String { "http://127.0.0.1:\(port)" }

    private let lock = NSLock()
    private var state = State()
    private let listener: Int32
    private let port: UInt16

    private struct State {
        var mood = Mood()
        var requests: [Request] = []
        var manifest: Data?
        var stalled = false
        var closed = false
    }

    /// Hashes as the publisher states them, of the files as they are below.
    private static let files: [(name: String, bytes: Data, hash: String)] = [
        (
            "config.json", Data(#"{"model_type": "whisper", "d_model": 8}"#.utf8),
            "f63cf81cce1ab494b00a9eaebe8409d02a43415ad7e5f6817e121305f44d355f"
        ),
        ("tokenizer.json", Data("{}".utf8), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
        ("model.safetensors", weights, "2e2b5bb6501e83078ec7deb4eb5cc6df3feb67bdade5e16f8168656f43cf9f64"),
    ]

    init() throws {
        // Who cancels a pull closes the connection, and writing to that must be an error, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
        #if canImport(Glibc)
            listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        #else
            listener = socket(AF_INET, SOCK_STREAM, 0)
        #endif
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        let opened = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 16) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        guard opened else { throw CocoaError(.fileNoSuchFile) }
        port = UInt16(bigEndian: address.sin_port)
        Thread.detachNewThread { [self] in accept() }
    }

    /// Stops listening; connections that stand still end.
    func close() {
        let wasOpen = lock.withLock {
            defer { state.closed = true }
            return !state.closed
        }
        guard wasOpen else { return }
        shutdown(listener, Int32(SHUT_RDWR))
        #if canImport(Glibc)
            _ = Glibc.close(listener)
        #else
            _ = Darwin.close(listener)
        #endif
    }

    private var isClosed: Bool { lock.withLock { state.closed } }

    private func accept() {
        while !isClosed {
            #if canImport(Glibc)
                let connection = Glibc.accept(listener, nil, nil)
            #else
                let connection = Darwin.accept(listener, nil, nil)
            #endif
            guard connection >= 0 else { return }
            Thread.detachNewThread { [self] in
                let file = FileHandle(fileDescriptor: connection, closeOnDealloc: true)
                if let request = read(file) { answer(request, on: file) }
                shutdown(connection, Int32(SHUT_RDWR))
            }
        }
    }

    private func read(_ file: FileHandle) -> Request? {
        var head = Data()
        while head.range(of: Data("\r\n\r\n".utf8)) == nil {
            guard let more = try? file.read(upToCount: 1), !more.isEmpty else { return nil }
            head += more
        }
        let lines = String(decoding: head, as: UTF8.self).components(separatedBy: "\r\n")
        let words = lines[0].split(separator: " ")
        guard words.count == 3 else { return nil }
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
            headers[line[..<colon].lowercased()] = value
        }
        let request = Request(method: String(words[0]), path: String(words[1]), headers: headers)
        lock.withLock { state.requests.append(request) }
        return request
    }

    private func answer(_ request: Request, on file: FileHandle) {
        let (path, mood) = (request.path, mood)
        let name = path.split(separator: "/").last.map { String($0.split(separator: "?")[0]) } ?? ""
        let bytes = name == "sotto.json" ? manifest : Self.files.first { $0.name == name }?.bytes
        if let status = mood.status, path.contains(status.path) {
            send(status.code, on: file)
        } else if path.hasPrefix("/storage/"), let bytes {
            send(bytes, for: request, on: file)
        } else if !path.contains(Self.repository) {
            send(404, ["X-Error-Code": "RepoNotFound"], on: file)
        } else if let token = mood.token, request.headers["authorization"] != "Bearer \(token)" {
            send(401, on: file)
        } else if path.hasPrefix("/api/models/") {
            send(Self.description, for: request, on: file)
        } else if name == "model.safetensors" {
            // Another host, as far as tokens go.
            send(302, ["Location": "http://localhost:\(port)/storage/\(name)"], on: file)
        } else if let bytes {
            send(bytes, for: request, on: file)
        } else {
            send(404, on: file)
        }
    }

    private func send(_ status: Int, _ headers: [String: String] = [:], length: Int = 0, on file: FileHandle) {
        let lines = ["HTTP/1.1 \(status) Answer", "Content-Length: \(length)", "Connection: close"]
        let head = (lines + headers.map { "\($0.key): \($0.value)" }).joined(separator: "\r\n") + "\r\n\r\n"
        try? file.write(contentsOf: Data(head.utf8))
    }

    private func send(_ bytes: Data, for request: Request, on file: FileHandle) {
        let range = request.headers["range"]
        let from = range.flatMap { Int($0.dropFirst("bytes=".count).prefix { $0 != "-" }) } ?? 0
        let headers = range.map { _ in ["Content-Range": "bytes \(from)-\(bytes.count - 1)/\(bytes.count)"] } ?? [:]
        send(range == nil ? 200 : 206, headers, length: bytes.count - from, on: file)
        guard request.method != "HEAD" else { return }
        let isWeights = bytes.count == Self.weights.count
        var bytes = bytes
        if isWeights, mood.corrupts { bytes[bytes.count - 1] ^= 1 }
        guard isWeights, let end = end(from: from) else {
            try? file.write(contentsOf: bytes[from...])
            return
        }
        try? file.write(contentsOf: bytes[from..<max(from, end.after)])
        guard end.stalls else { return }
        lock.withLock { state.stalled = true }
        while mood.stallsAfter != nil, !isClosed { usleep(5000) }
    }

    /// Where the weights stop before their end, and whether the connection then stands still.
    private func end(from: Int) -> (after: Int, stalls: Bool)? {
        lock.withLock {
            if let after = state.mood.stallsAfter { return (after, true) }
            guard let breaks = state.mood.breaks, breaks.times > 0 else { return nil }
            state.mood.breaks = (breaks.after, breaks.times - 1)
            return (from + breaks.after, false)
        }
    }

    private static let description: Data = {
        let siblings = files.map { name, bytes, hash in
            #"{"rfilename":"\#(name)","size":\#(bytes.count),"#
                + #""lfs":{"sha256":"\#(hash)","size":\#(bytes.count)}}"#
        }
        return Data(
            (#"{"sha":"\#(commit)","cardData":{"license":"mit"},"config":{"model_type":"whisper"},"#
                + #""siblings":[\#(siblings.joined(separator: ","))]}"#).utf8)
    }()

    /// Bytes that nothing compresses, always the same.
    private static func noise(_ count: Int) -> [UInt8] {
        var state: UInt64 = 1
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 33)
        }
    }
}

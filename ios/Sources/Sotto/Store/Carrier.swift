import Foundation
internal import SottoBindings

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Carries out the requests of a pull with URLSession: exactly as they are asked for, without following redirects,
/// without cookies, caches or credentials. What to do about an answer is decided by the library.
final class Carrier: NSObject, URLSessionDataDelegate, @unchecked Sendable {
    private let pull: ModelPull
    private let lock = NSLock()
    private var session: URLSession!
    /// Numbers of requests by those of their tasks, and the pieces of their answers that wait to be taken.
    private var ids: [Int: UInt64] = [:]
    private var tasks: [UInt64: URLSessionDataTask] = [:]
    private var pieces: [Int: AsyncStream<Piece>.Continuation] = [:]

    private enum Piece: Sendable {
        case answer(UInt16, [Header])
        case body(Data)
        case end
        case failure(NetworkProblem)
    }

    init(_ pull: ModelPull, configuration: URLSessionConfiguration) {
        self.pull = pull
        super.init()
        let configuration = configuration.copy() as? URLSessionConfiguration ?? .ephemeral
        configuration.httpCookieStorage = nil
        configuration.httpShouldSetCookies = false
        configuration.urlCache = nil
        configuration.urlCredentialStorage = nil
        configuration.requestCachePolicy = .reloadIgnoringLocalCacheData
        session = URLSession(configuration: configuration, delegate: self, delegateQueue: nil)
    }

    func fetch(_ id: UInt64, _ fetch: HttpFetch) {
        guard let url = URL(string: fetch.url) else {
            pull.fail(id: id, problem: .other(reason: "not an address"))
            return
        }
        var request = URLRequest(url: url, timeoutInterval: fetch.patienceSeconds)
        request.httpMethod = fetch.head ? "HEAD" : "GET"
        for header in fetch.headers { request.setValue(header.value, forHTTPHeaderField: header.name) }
        // The bytes as the publisher has hashed them.
        request.setValue("identity", forHTTPHeaderField: "Accept-Encoding")
        let task = session.dataTask(with: request)
        let (stream, continuation) = AsyncStream.makeStream(of: Piece.self)
        lock.withLock {
            ids[task.taskIdentifier] = id
            tasks[id] = task
            pieces[task.taskIdentifier] = continuation
        }
        // One after the other, each when the library has taken the last one.
        let pull = pull
        Task { [weak task] in
            for await piece in stream {
                switch piece {
                case .answer(let status, let headers):
                    if !pull.respond(id: id, status: status, headers: headers) { task?.cancel() }
                case .body(let data):
                    let wanted = await pull.push(id: id, bytes: data)
                    if wanted { task?.goOn() } else { task?.cancel() }
                case .end: pull.end(id: id)
                case .failure(let problem): pull.fail(id: id, problem: problem)
                }
            }
        }
        task.resume()
    }

    func abandon(_ id: UInt64) {
        lock.withLock { tasks[id] }?.cancel()
    }

    func stop() {
        session.invalidateAndCancel()
    }

    private func send(_ piece: Piece, of task: URLSessionTask, last: Bool = false) {
        let continuation = lock.withLock { pieces[task.taskIdentifier] }
        continuation?.yield(piece)
        guard last else { return }
        continuation?.finish()
        lock.withLock {
            pieces[task.taskIdentifier] = nil
            if let id = ids.removeValue(forKey: task.taskIdentifier) { tasks[id] = nil }
        }
    }

    func urlSession(
        _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse,
        newRequest request: URLRequest, completionHandler: @escaping @Sendable (URLRequest?) -> Void
    ) {
        // The library decides where a redirect may lead, and what may be sent there.
        completionHandler(nil)
    }

    func urlSession(
        _ session: URLSession, dataTask: URLSessionDataTask, didReceive response: URLResponse,
        completionHandler: @escaping @Sendable (URLSession.ResponseDisposition) -> Void
    ) {
        if let response = response as? HTTPURLResponse {
            let headers = response.allHeaderFields.map { Header(name: "\($0.key)", value: "\($0.value)") }
            send(.answer(UInt16(clamping: response.statusCode), headers), of: dataTask)
        }
        completionHandler(.allow)
    }

    func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
        dataTask.hold()
        send(.body(data), of: dataTask)
    }

    func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?) {
        send(error.map { .failure(problem($0)) } ?? .end, of: task, last: true)
    }

    private func problem(_ error: any Error) -> NetworkProblem {
        let reason = error.localizedDescription
        switch (error as? URLError)?.code {
        case .notConnectedToInternet, .dataNotAllowed, .internationalRoamingOff: return .offline
        case .cannotFindHost, .dnsLookupFailed: return .unknownHost
        case .cannotConnectToHost: return .refused
        case .timedOut: return .timeout
        case .networkConnectionLost: return .cut
        case .secureConnectionFailed, .serverCertificateUntrusted, .serverCertificateHasBadDate,
            .serverCertificateHasUnknownRoot, .serverCertificateNotYetValid, .clientCertificateRejected,
            .clientCertificateRequired:
            return .insecure(reason: reason)
        case .appTransportSecurityRequiresSecureConnection: return .forbidden(reason: reason)
        default: return .other(reason: reason)
        }
    }
}

extension URLSessionDataTask {
    /// Stops what comes until a piece was taken, so that at most one waits in memory.
    ///
    /// Not with swift-corelibs-foundation (Linux): its `suspend` drops the connection, its `resume` begins the transfer
    /// anew, and it ends the process where a task completes meanwhile. There the pieces wait in memory.
    fileprivate func hold() {
        #if !canImport(FoundationNetworking)
            suspend()
        #endif
    }

    /// Lets the next piece come.
    fileprivate func goOn() {
        #if !canImport(FoundationNetworking)
            resume()
        #endif
    }
}

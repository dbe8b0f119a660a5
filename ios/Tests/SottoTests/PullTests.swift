import Foundation
import Sotto
import XCTest

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Models from a hub on this machine, through URLSession as apps use it.
final class PullTests: XCTestCase {
    private var hub: Hub!
    private var folder: URL!

    override func setUpWithError() throws {
        hub = try Hub()
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("models-\(UUID())")
    }

    override func tearDown() {
        hub.close()
        try? FileManager.default.removeItem(at: folder)
    }

    private func store() throws -> ModelStore { try ModelStore(folder: folder, engine: Fixtures.engine) }

    private func pull(
        _ name: String = Hub.repository, token: String? = nil, configuration: URLSessionConfiguration = .ephemeral,
        progress: (@Sendable (ModelStore.Progress) -> Void)? = nil
    ) async throws -> ModelStore.Model {
        let (store, address) = (try store(), hub.address)
        return try await within {
            try await store.pullModel(
                name, endpoint: address, token: token, configuration: configuration, progress: progress)
        }
    }

    /// Ranges that were asked for from the middle of a file.
    private var resumed: [String] {
        hub.requests.compactMap { $0.headers["range"] }.filter { !$0.hasPrefix("bytes=0-") }
    }

    private func assertThrows(
        _ wanted: String, _ body: () async throws -> ModelStore.Model, line: UInt = #line,
        _ check: (StoreError) -> Bool
    ) async {
        do {
            _ = try await body()
            XCTFail("\(wanted) was expected", line: line)
        } catch let error as StoreError where check(error) {
            XCTAssertFalse(error.nextStep.isEmpty, line: line)
        } catch {
            XCTFail("\(error) instead of \(wanted)", line: line)
        }
    }

    func testAModelIsPulledBehindARedirectAndFoundAgainWithoutTheNetwork() async throws {
        let seen = Locked<[ModelStore.Progress]>([])
        let model = try await pull { progress in seen.withLock { $0.append(progress) } }
        XCTAssertEqual([model.name, model.version, model.licence], [Hub.repository, Hub.commit, "mit"])
        XCTAssertTrue(model.active && model.problems.isEmpty)
        XCTAssertEqual(try Data(contentsOf: model.url.appendingPathComponent("model.safetensors")), Hub.weights)
        XCTAssertFalse(seen.withLock { $0 }.isEmpty)
        XCTAssertTrue(hub.requests.contains { $0.path == "/storage/model.safetensors" })
        XCTAssertTrue(hub.requests.allSatisfy { $0.headers["cookie"] == nil })
        hub.close()
        let again = try await pull()
        XCTAssertEqual(again, model)
        XCTAssertEqual(try store().source(of: "whisper-nano"), model.source)
        let checked = try await store().verify(Hub.repository)
        XCTAssertGreaterThan(checked, 400_000)
    }

    func testACopiedVersionIsPulledFromAFolderOnAServerOrOnTheDevice() async throws {
        let published = try await pull()
        hub.manifest = try Data(contentsOf: published.url.appendingPathComponent("sotto.json"))
        for from in ["\(hub.address)/storage", published.url.path] {
            let other = folder.appendingPathComponent("other-\(UUID())")
            let store = try ModelStore(folder: other, engine: Fixtures.engine)
            let model = try await within { try await store.pullModel(Hub.repository, from: from) }
            XCTAssertEqual(model.version, published.version)
            XCTAssertEqual(try Data(contentsOf: model.url.appendingPathComponent("model.safetensors")), Hub.weights)
            let another = { try await store.pullModel("openai/other", from: from) }
            await assertThrows("notFound", another) { if case .notFound = $0 { true } else { false } }
        }
        let store = try store()
        let plain = { try await store.pullModel(Hub.repository, from: "http://192.0.2.1/m") }
        await assertThrows("invalidName", plain) { if case .invalidName = $0 { true } else { false } }
    }

    func testABrokenConnectionIsTakenUpWhereItBroke() async throws {
        hub.mood.breaks = (150_000, 2)
        let model = try await pull()
        XCTAssertEqual(try Data(contentsOf: model.url.appendingPathComponent("model.safetensors")), Hub.weights)
        XCTAssertGreaterThanOrEqual(resumed.count, 2, "\(hub.requests)")
    }

    func testWhatIsNotThereIsNotFound() async throws {
        await assertThrows("notFound") { try await pull("openai/nothing") } _: {
            if case .notFound = $0 { true } else { false }
        }
        hub.mood.status = ("/resolve/", 404)
        await assertThrows("notFound") { try await pull() } _: { if case .notFound = $0 { true } else { false } }
        // Addresses of the storage expire: the hub is asked again, and then it is the storage that does not serve.
        hub.mood.status = ("/storage/", 404)
        await assertThrows("network") { try await pull() } _: { if case .network = $0 { true } else { false } }
        XCTAssertEqual(try store().models(), [])
    }

    func testBytesThatWereNotPublishedAreNeverInstalled() async throws {
        hub.mood.corrupts = true
        await assertThrows("damaged") { try await pull() } _: { if case .damaged = $0 { true } else { false } }
        XCTAssertEqual(try store().models(), [])
        hub.mood.corrupts = false
        let model = try await pull()
        XCTAssertTrue(model.problems.isEmpty)
    }

    func testAPullThatIsCancelledEndsAtOnceAndGoesOnLater() async throws {
        hub.mood.stallsAfter = 200_000
        let (store, address, hub) = (try store(), hub.address, hub!)
        let arrived = Locked<UInt64>(0)
        let pull = Task {
            try await store.pullModel(Hub.repository, endpoint: address) { progress in
                if case .bytes(let done, _) = progress { arrived.withLock { $0 = done } }
            }
        }
        try await within {
            while !hub.isStalled || arrived.withLock({ $0 }) < 100_000 { try await Task.sleep(for: .milliseconds(2)) }
        }
        pull.cancel()
        do {
            _ = try await within(seconds: 10) { try await pull.value }
            XCTFail("it was cancelled")
        } catch {
            XCTAssertEqual(error as? StoreError, .cancelled)
        }
        XCTAssertEqual(try store.models(), [])
        hub.mood.stallsAfter = nil
        let model = try await self.pull()
        XCTAssertEqual(try Data(contentsOf: model.url.appendingPathComponent("model.safetensors")), Hub.weights)
        XCTAssertFalse(resumed.isEmpty, "\(hub.requests)")
    }

    func testATokenReachesTheHubAloneAndNoError() async throws {
        hub.mood.token = "hf_secret"
        let refused: (StoreError) -> Bool = {
            if case .unauthorized = $0 { !"\($0)\($0.nextStep)".contains("hf_wrong") } else { false }
        }
        await assertThrows("unauthorized", { try await pull() }, refused)
        await assertThrows("unauthorized", { try await pull(token: "hf_wrong") }, refused)
        _ = try await pull(token: "hf_secret")
        let storage = hub.requests.filter { $0.path.hasPrefix("/storage/") }
        XCTAssertFalse(storage.isEmpty)
        XCTAssertTrue(storage.allSatisfy { $0.headers["authorization"] == nil })
    }

    func testADeviceThatIsOfflineIsSaidAtOnce() async throws {
        let configuration = URLSessionConfiguration.ephemeral
        configuration.protocolClasses = [Airplane.self]
        await assertThrows("network") { try await pull(configuration: configuration) } _: {
            if case .network(let reason, _) = $0 { !reason.isEmpty } else { false }
        }
        XCTAssertTrue(hub.requests.isEmpty)
    }
}

/// A device in airplane mode.
private final class Airplane: URLProtocol, @unchecked Sendable {
    override class func canInit(with request: URLRequest) -> Bool { true }
    override class func canonicalRequest(for request: URLRequest) -> URLRequest { request }
    override func startLoading() { client?.urlProtocol(self, didFailWithError: URLError(.notConnectedToInternet)) }
    override func stopLoading() {}
}

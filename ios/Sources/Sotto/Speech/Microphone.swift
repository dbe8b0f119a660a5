#if canImport(AVFAudio) && !os(watchOS)
    public import AVFAudio
    public import Foundation

    /// The microphone, as samples that ``SpeechRecognizer/listen(to:format:options:)`` takes.
    ///
    /// The app asks for permission first (`AVAudioApplication.requestRecordPermission`), has
    /// `NSMicrophoneUsageDescription` in its `Info.plist`, and activates its audio session. Phone calls and other apps
    /// interrupt the samples; they go on when the interruption has ended and the system says so. A new input, such as a
    /// headset, is taken over without a gap in the stream.
    public final class Microphone: @unchecked Sendable {
        /// Format of the samples: what a session of them must be started with.
        public let format: PCMFormat

        private let engine = AVAudioEngine()
        private let lock = NSLock()
        private var observers: [any NSObjectProtocol] = []

        /// The microphone that the system has chosen.
        ///
        /// Throws ``SottoError/invalidAudio(reason:nextStep:)`` where there is none, or it may not be used.
        public init() throws(SottoError) {
            let input = engine.inputNode.outputFormat(forBus: 0)
            guard input.sampleRate > 0, input.channelCount > 0 else {
                throw .invalidAudio(
                    reason: "there is no microphone that this app may use",
                    nextStep: "ask for permission and activate the audio session first")
            }
            format = PCMFormat(encoding: .float32, rate: UInt32(input.sampleRate), channels: 1)
        }

        /// Samples from now on, until the loop over them is left. One stream at a time.
        public func samples() -> AsyncThrowingStream<Data, any Error> {
            AsyncThrowingStream { continuation in
                do {
                    try start { continuation.yield($0) }
                } catch {
                    continuation.finish(throwing: error)
                    return
                }
                observe(continuation)
                continuation.onTermination = { [self] _ in stop() }
            }
        }

        private func start(_ deliver: @escaping @Sendable (Data) -> Void) throws {
            let node = engine.inputNode
            let wanted = AVAudioFormat(
                commonFormat: .pcmFormatFloat32, sampleRate: Double(format.rate), channels: 1, interleaved: true)
            node.removeTap(onBus: 0)
            // 20 ms, or what the hardware gives at once.
            node.installTap(onBus: 0, bufferSize: AVAudioFrameCount(format.rate / 50), format: wanted) { buffer, _ in
                guard let samples = buffer.floatChannelData?[0] else { return }
                deliver(Data(bytes: samples, count: Int(buffer.frameLength) * MemoryLayout<Float>.stride))
            }
            engine.prepare()
            try engine.start()
        }

        private func stop() {
            engine.inputNode.removeTap(onBus: 0)
            engine.stop()
            lock.withLock {
                observers.forEach(NotificationCenter.default.removeObserver)
                observers = []
            }
        }

        private func observe(_ continuation: AsyncThrowingStream<Data, any Error>.Continuation) {
            let restart: @Sendable (Notification) -> Void = { [weak self] _ in
                guard let self else { return }
                do { try start { continuation.yield($0) } } catch { continuation.finish(throwing: error) }
            }
            var names = [Notification.Name.AVAudioEngineConfigurationChange]
            #if os(iOS) || os(tvOS) || os(visionOS)
                names.append(AVAudioSession.mediaServicesWereResetNotification)
                let ended = NotificationCenter.default.addObserver(
                    forName: AVAudioSession.interruptionNotification, object: nil, queue: nil
                ) { notification in
                    let type = notification.userInfo?[AVAudioSessionInterruptionTypeKey] as? UInt
                    if type == AVAudioSession.InterruptionType.ended.rawValue { restart(notification) }
                }
                lock.withLock { observers.append(ended) }
            #endif
            let added = names.map {
                NotificationCenter.default.addObserver(forName: $0, object: nil, queue: nil, using: restart)
            }
            lock.withLock { observers += added }
        }
    }
#endif

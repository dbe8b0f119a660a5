package dev.sotto

import dev.sotto.ffi.Engine
import dev.sotto.ffi.LoadEvent
import dev.sotto.ffi.PackEvent
import dev.sotto.internal.NativeJob
import dev.sotto.internal.NativeLibrary
import dev.sotto.internal.bytes
import dev.sotto.internal.count
import dev.sotto.internal.decision
import dev.sotto.internal.event
import dev.sotto.internal.eventsOf
import dev.sotto.internal.located
import dev.sotto.internal.native
import dev.sotto.internal.settings
import dev.sotto.internal.speech
import dev.sotto.internal.speechSuspending
import dev.sotto.internal.store
import dev.sotto.internal.wellFormed
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.cancel
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flowOn
import kotlinx.coroutines.flow.map
import kotlinx.coroutines.future.future
import kotlinx.coroutines.withContext
import java.io.File
import java.util.Collections
import java.util.WeakHashMap
import java.util.concurrent.CompletableFuture
import java.util.function.Consumer

/**
 * The engine: what all models of an app share, which is threads, a memory limit and a list of loaded models.
 *
 * Most apps need one, [shared]. Every function may be called from any thread; `suspend` functions and flows compute on
 * threads of the engine and open files on [dispatcher], so that the main thread is fine.
 *
 * @param settings threads, memory and the like
 * @property dispatcher where files are opened and results are converted
 * @throws LibraryException when the native library is missing
 * @sample dev.sotto.samples.ownEngine
 */
public class Sotto @JvmOverloads constructor(
    settings: SottoSettings = SottoSettings(),
    internal val dispatcher: CoroutineDispatcher = Dispatchers.IO,
) : AutoCloseable {
    private val native: Engine

    // Without holding them: who forgets a model lets it go.
    private val speechModels = Collections.newSetFromMap(WeakHashMap<SpeechModel, Boolean>())

    /** Where futures for Java run. */
    internal val scope = CoroutineScope(SupervisorJob() + dispatcher)

    init {
        NativeLibrary.ensure()
        native = speech { Engine(settings.native()) }
    }

    /**
     * Loads a speech-to-text model. The same file is loaded once however often this is called; what is loaded already
     * is there at once.
     *
     * @param onProgress called on [dispatcher]
     * @throws SpeechException why it did not work
     * @sample dev.sotto.samples.loadWithProgress
     */
    @JvmSynthetic
    public suspend fun loadSpeech(source: ModelSource, onProgress: (Progress) -> Unit = {}): SpeechRecognizer {
        var loaded: SpeechRecognizer? = null
        try {
            withContext(dispatcher) { loaded = load(source, onProgress) }
        } catch (cancelled: CancellationException) {
            // It may have been ready, but nobody will receive it.
            loaded?.close()
            throw cancelled
        }
        return checkNotNull(loaded)
    }

    private suspend fun load(source: ModelSource, onProgress: (Progress) -> Unit): SpeechRecognizer {
        val job = source.located { location -> speech(NAME) { native.loadSpeech(location) } }
        try {
            while (true) {
                when (val event = speechSuspending(NAME) { job.nextEvent() }) {
                    is LoadEvent.Progress ->
                        onProgress(Progress(event.done.toLong(), event.total?.toLong(), Progress.Unit.Weights))
                    is LoadEvent.Loaded -> return SpeechRecognizer(event.model, this)
                    null -> throw SpeechException.Internal("loading ended without a model", "load it again")
                }
            }
        } finally {
            job.cancel()
            job.close()
        }
    }

    /**
     * A model that is loaded when it is first needed, and again after its memory was given back; its state can be
     * drawn. Loads nothing yet.
     *
     * @sample dev.sotto.samples.modelState
     */
    public fun speechModel(source: ModelSource): SpeechModel =
        SpeechModel(this, source).also { synchronized(speechModels) { speechModels += it } }

    internal fun forget(model: SpeechModel): Unit = synchronized(speechModels) { speechModels -= model }

    /** Something was unloaded: whose was it? */
    internal fun lookAtModels() {
        val models = synchronized(speechModels) { speechModels.toList() }
        models.forEach { it.look() }
    }

    /** Bytes that a model would take, without loading it. Reads its header. */
    @JvmSynthetic
    public suspend fun estimateSpeech(source: ModelSource): MemoryEstimate = withContext(dispatcher) {
        val estimate = source.located { location -> speech(NAME) { native.estimateSpeech(location) } }
        estimate.run { MemoryEstimate(loading.toLong(), model.toLong(), session.toLong(), peak.toLong()) }
    }

    /**
     * Where someone speaks in a recording, by voice activity detection; no model is needed. Cold.
     *
     * @sample dev.sotto.samples.findSpeech
     */
    @JvmSynthetic
    public fun findSpeech(
        audio: AudioSource,
        activity: VoiceActivity = VoiceActivity(),
        channel: AudioChannel = AudioChannel.Mix,
    ): Flow<VoiceEvent> = eventsOf {
        val job = audio.located { input ->
            speech(NAME) { native.findSpeech(input, channel.native(), activity.settings()) }
        }
        NativeJob({ job.nextEvent() }, { job.cancel() }, { job.close() })
    }.map { it.event() }.flowOn(dispatcher)

    /**
     * Packs a model into one file with quantized weights, which is mapped and used where it lies: made once, on the
     * desk or on the device. There is a whole file at the destination in the end, or none.
     *
     * @param onProgress called on [dispatcher]; counts weights, then bytes
     */
    @JvmSynthetic
    public suspend fun pack(
        source: ModelSource,
        destination: File,
        options: PackOptions = PackOptions(),
        onProgress: (Progress) -> Unit = {},
    ): PackedModel = withContext(dispatcher) {
        val job = source.located { location ->
            speech(NAME) { native.pack(location, destination.absolutePath.wellFormed(), options.native()) }
        }
        try {
            var packed: PackedModel? = null
            while (packed == null) {
                when (val event = speechSuspending(NAME) { job.nextEvent() }) {
                    is PackEvent.Progress ->
                        onProgress(Progress(event.done.toLong(), event.total?.toLong(), Progress.Unit.Weights))
                    is PackEvent.Finished -> packed = PackedModel(event.bytes.toLong(), event.weights)
                    null -> throw SpeechException.Internal("packing ended without a file", "pack it again")
                }
            }
            packed
        } finally {
            job.cancel()
            job.close()
        }
    }

    /**
     * Starts profiling a model with recordings of the app: several minutes, in which nothing else should run. Hand in
     * readings of the device meanwhile. The model is unloaded and loaded again on the way, so recognizers of the same
     * file and engine end with [SpeechException.Unloaded].
     */
    @JvmSynthetic
    public suspend fun profileSpeech(
        source: ModelSource,
        clips: List<ProfileClip>,
        options: ProfileOptions,
    ): SpeechProfile = withContext(dispatcher) {
        val profile = clips.located { located ->
            source.located { location -> speech(NAME) { native.profileSpeech(location, located, options.native()) } }
        }
        SpeechProfile(profile, this@Sotto)
    }

    /**
     * The store of models in a folder of the app, which need not exist yet. Writes nothing.
     *
     * @throws StoreException.InvalidName where there is something else than a folder
     */
    @JvmSynthetic
    public suspend fun openStore(folder: File): ModelStore = withContext(dispatcher) {
        ModelStore(store { native.openStore(folder.absolutePath.wellFormed()) }, this@Sotto)
    }

    /** The models that are loaded, the last used one first. Cheap. */
    @Throws(SpeechException::class)
    public fun models(): List<LoadedModel> = speech(NAME) { native.loadedModels() }.map {
        LoadedModel(
            it.id.toLong(), it.name, it.bytes.toLong(), it.handles.toInt(), it.running.toInt(), it.idleSeconds,
        )
    }

    /** Memory that is held at the moment. Cheap. */
    @Throws(SpeechException::class)
    public fun memory(): MemoryUse =
        speech(NAME) { native.memory() }.run { MemoryUse(used.toLong(), limit?.toLong()) }

    /** Gives memory back. Returns at once; what computes goes on. `sotto-android` calls it when the system asks. */
    @Throws(SpeechException::class)
    public fun trim(level: TrimLevel): Trimmed = speech(NAME) { native.trim(level.native()) }.run {
        Trimmed(models.toInt(), memory.toLong(), pages.toLong())
    }.also { lookAtModels() }

    /**
     * Tells what the platform knows of its device: heat, battery, power. Sessions with [SessionOptions.adaptive] follow
     * it from here on. When something changes is enough; `SottoLifecycle` of `sotto-android` does it. Microseconds.
     *
     * @sample dev.sotto.samples.adaptiveSession
     */
    @Throws(SpeechException::class)
    public fun push(reading: DeviceReading): Unit = speech(NAME) { native.pushReading(reading.native()) }

    /** What sessions with [SessionOptions.adaptive] compute with at the moment; `null` while there are none. Cheap. */
    @Throws(SpeechException::class)
    public fun adapted(): GovernorDecision? = speech(NAME) { native.adapted() }?.decision()

    /** Why a model could not be kept packed in the cache since this was asked last; it was loaded all the same. */
    @Throws(SpeechException::class)
    public fun takeCacheProblem(): String? = speech(NAME) { native.takeCacheProblem() }

    /** Lets go of the engine. Recognizers and sessions live on; futures that are under way are cancelled. */
    override fun close() {
        scope.cancel()
        native.close()
    }

    /** [loadSpeech] for Java. Cancelling the future stops loading. */
    @JvmOverloads
    public fun loadSpeechAsync(
        source: ModelSource,
        onProgress: Consumer<Progress> = Consumer { },
    ): CompletableFuture<SpeechRecognizer> = scope.future { loadSpeech(source) { onProgress.accept(it) } }

    /** [estimateSpeech] for Java. */
    public fun estimateSpeechAsync(source: ModelSource): CompletableFuture<MemoryEstimate> =
        scope.future { estimateSpeech(source) }

    /** [pack] for Java. */
    @JvmOverloads
    public fun packAsync(
        source: ModelSource,
        destination: File,
        options: PackOptions = PackOptions(),
        onProgress: Consumer<Progress> = Consumer { },
    ): CompletableFuture<PackedModel> = scope.future { pack(source, destination, options) { onProgress.accept(it) } }

    /** [profileSpeech] for Java. */
    public fun profileSpeechAsync(
        source: ModelSource,
        clips: List<ProfileClip>,
        options: ProfileOptions,
    ): CompletableFuture<SpeechProfile> = scope.future { profileSpeech(source, clips, options) }

    /** [openStore] for Java. */
    public fun openStoreAsync(folder: File): CompletableFuture<ModelStore> = scope.future { openStore(folder) }

    /** The engine that an app shares, and what there is once in a process. */
    public companion object {
        private const val NAME = "the engine"

        @Volatile
        private var sharedSettings: SottoSettings? = SottoSettings()

        private val lazyShared = lazy {
            val settings = synchronized(this) { sharedSettings.also { sharedSettings = null } }
            Sotto(settings ?: SottoSettings())
        }

        /** The engine that an app has one of. Made when it is first asked for; never closed. */
        @JvmStatic
        public val shared: Sotto by lazyShared

        /**
         * Sets up [shared], before anyone asks for it: in `Application.onCreate`.
         *
         * @throws IllegalStateException when it has been asked for already
         */
        @JvmStatic
        public fun configure(settings: SottoSettings): Unit = synchronized(this) {
            check(sharedSettings != null) { "Sotto.shared is in use; configure it before anything else of Sotto" }
            sharedSettings = settings
        }

        /** Version of the native library. */
        @JvmStatic
        public val version: String
            get() = withLibrary { dev.sotto.ffi.version() }

        /** What Sotto knows of this processor. The first time it is tested for a few milliseconds. */
        @JvmStatic
        public val processor: ProcessorInfo
            get() = withLibrary { dev.sotto.ffi.processor() }.run {
                ProcessorInfo(instructionSet, notice, threads.toInt())
            }

        /**
         * How much the library logs: to logcat under the tag `sotto`, on the desk to the standard error stream. Off
         * until this is called.
         */
        @JvmStatic
        public fun setLogLevel(level: LogLevel): Unit = withLibrary { dev.sotto.ffi.setLogLevel(level.native()) }

        /**
         * Shows what the library works on (`sotto.load`, `sotto.mel`, `sotto.encode`, `sotto.decode`, `sotto.align`) as
         * sections of its threads: in Perfetto on Android, where the app can be traced, and in the kernel's trace on
         * Linux. Off until this is called; some tens of system calls for a second of audio.
         *
         * @return whether it is as asked: `false` where there is no tracer, or none that the app may write to
         */
        @JvmStatic
        public fun setTracing(on: Boolean): Boolean = withLibrary { dev.sotto.ffi.setTracing(on) }

        private inline fun <T> withLibrary(call: () -> T): T {
            NativeLibrary.ensure()
            return speech(NAME, call)
        }
    }
}

private fun SottoSettings.native(): dev.sotto.ffi.EngineSettings = dev.sotto.ffi.EngineSettings(
    threads = count("threads", threads),
    memoryLimit = memoryLimit?.let { bytes("memoryLimit", it) },
    precision = when (precision) {
        Precision.Int8 -> dev.sotto.ffi.ComputePrecision.INT8
        Precision.Float32 -> dev.sotto.ffi.ComputePrecision.FLOAT32
    },
    cacheFolder = cacheFolder?.wellFormed(),
    cacheLimit = cacheLimit?.let { bytes("cacheLimit", it) },
    instructionSet = instructionSet?.wellFormed(),
)

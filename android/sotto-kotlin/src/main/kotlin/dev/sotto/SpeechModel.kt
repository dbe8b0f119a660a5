package dev.sotto

import kotlinx.coroutines.Job
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.flow.update
import kotlinx.coroutines.future.future
import kotlinx.coroutines.launch
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import java.util.concurrent.CompletableFuture

/** What is the matter with a [SpeechModel]. */
public sealed interface ModelState {
    /** Nobody has asked for it yet. */
    public data object NotLoaded : ModelState

    /**
     * It is being loaded.
     *
     * @property progress how far that is; `null` before anything is known
     */
    public data class Loading(public val progress: Progress?) : ModelState

    /** It is loaded, and transcribes without delay. */
    public data object Ready : ModelState

    /** It was loaded, and its memory was given back: by [SpeechModel.unload], or because the system had little. */
    public data object Unloaded : ModelState

    /**
     * It could not be loaded. [SpeechModel.load] tries again.
     *
     * @property problem why
     */
    public data class Failed(public val problem: SpeechException) : ModelState
}

/**
 * A model that an app uses time and again, loaded or not: it is loaded when it is first needed, and again after its
 * memory was given back. Its [state] is there to be drawn.
 *
 * Every function may be called from any thread. Made by [Sotto.speechModel].
 *
 * @sample dev.sotto.samples.modelState
 */
public class SpeechModel internal constructor(
    private val engine: Sotto,
    private val source: ModelSource,
) : AutoCloseable {
    private val states = MutableStateFlow<ModelState>(ModelState.NotLoaded)
    private val loads = Mutex()

    // Guarded by `this`.
    private var recognizer: SpeechRecognizer? = null
    private var loading: Job? = null
    private var closed = false

    /** What is the matter with it: now, and whenever that changes. Progress may be left out. */
    public val state: StateFlow<ModelState> = states.asStateFlow()

    /**
     * The loaded model; it is loaded where it is not. Who calls meanwhile waits for the same. It belongs to this
     * object: do not close it. A caller that is cancelled stops the loading it began; the next one who waits begins it
     * again.
     *
     * @throws SpeechException why it cannot be loaded; [SpeechException.Cancelled] where [unload] or [close] stopped it
     */
    @JvmSynthetic
    public suspend fun load(): SpeechRecognizer = loads.withLock { loaded() ?: loadAnew() }

    /** [load] for Java. Cancelling the future is as cancelling the coroutine. */
    public fun loadAsync(): CompletableFuture<SpeechRecognizer> = engine.scope.future { load() }

    /**
     * Gives its memory back, even where others use the same file; transcriptions under way end first. Stops a load
     * under way. Returns at once.
     */
    public fun unload() {
        val current = letGo() ?: return
        current.unload()
        current.close()
    }

    /**
     * Lets go of it: its memory goes when nobody else uses the same file. Later calls of [load] throw
     * [SpeechException.Ended]. May be called again.
     */
    override fun close() {
        synchronized(this) { closed = true }
        engine.forget(this)
        letGo()?.close()
    }

    private fun letGo(): SpeechRecognizer? {
        val (work, current) = synchronized(this) {
            val both = loading to recognizer
            loading = null
            recognizer = null
            if (both.second != null) states.value = ModelState.Unloaded
            both
        }
        work?.cancel()
        return current
    }

    /** The model may have been unloaded by somebody else. */
    internal fun look() {
        loaded()
    }

    private fun loaded(): SpeechRecognizer? = synchronized(this) {
        val current = recognizer ?: return null
        if (current.isLoaded) return current
        recognizer = null
        states.value = ModelState.Unloaded
        current.close()
        null
    }

    private suspend fun loadAnew(): SpeechRecognizer {
        val before = states.value
        var loaded: SpeechRecognizer? = null
        try {
            // A child, so that unload stops it without stopping the caller.
            coroutineScope { begin(launch { loaded = engine.loadSpeech(source, ::note) }) }
            return loaded?.takeIf(::keep)
                ?: throw SpeechException.Cancelled("the model was unloaded while it was loaded")
        } catch (problem: Throwable) {
            loaded?.close()
            end(failure(problem)?.let { ModelState.Failed(it) } ?: before)
            throw problem
        }
    }

    private fun begin(work: Job) = synchronized(this) {
        if (closed) throw SpeechException.Ended("the model was closed", "make a new one with Sotto.speechModel")
        loading = work
        states.value = ModelState.Loading(null)
    }

    private fun note(progress: Progress) =
        states.update { if (it is ModelState.Loading) ModelState.Loading(progress) else it }

    /** Whether it was wanted to the end. */
    private fun keep(loaded: SpeechRecognizer): Boolean = synchronized(this) {
        if (loading == null) return false
        loading = null
        recognizer = loaded
        states.value = ModelState.Ready
        true
    }

    private fun end(state: ModelState) = synchronized(this) {
        loading = null
        states.value = state
    }
}

/** What is said of the model, rather than of who did not want it any more. */
private fun failure(problem: Throwable): SpeechException? =
    (problem as? SpeechException)?.takeUnless { it is SpeechException.Cancelled || it is SpeechException.Ended }

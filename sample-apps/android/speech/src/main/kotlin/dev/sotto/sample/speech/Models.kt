package dev.sotto.sample.speech

import android.content.SharedPreferences
import dev.sotto.ModelSource
import dev.sotto.ModelState
import dev.sotto.ModelStore
import dev.sotto.ModelTransport
import dev.sotto.Progress
import dev.sotto.PullOptions
import dev.sotto.Sotto
import dev.sotto.SottoException
import dev.sotto.SpeechModel
import dev.sotto.SpeechRecognizer
import dev.sotto.StoredModel
import dev.sotto.UrlTransport
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.flow.update
import kotlinx.coroutines.launch
import java.io.File

/** A model that can be fetched. [bytes] is about how much that is. */
class Offer(val name: String, val title: String, val bytes: Long)

/**
 * What is known of the models.
 *
 * @property here models in the store
 * @property chosen name of the one that is used; `null` for the starter model
 * @property loaded what is the matter with that one
 * @property fetching offers that are being fetched, by name, and how far
 */
data class ModelsState(
    val here: List<StoredModel> = emptyList(),
    val chosen: String? = null,
    val loaded: ModelState = ModelState.NotLoaded,
    val fetching: Map<String, Progress?> = emptyMap(),
    val problem: SottoException? = null,
)

/** The models of the app: which are here, which can be fetched, which one is used. On the main thread. */
class Models(
    private val scope: CoroutineScope,
    private val engine: () -> Sotto,
    private val folder: File,
    private val starter: () -> ModelSource,
    private val preferences: SharedPreferences,
) {
    private val states = MutableStateFlow(ModelsState(chosen = preferences.getString(CHOSEN, null)))
    private val pulls = HashMap<String, Job>()
    private var opened: ModelStore? = null

    /** The model that is used, once it has been needed, and what draws its state. */
    private var inUse: Pair<SpeechModel, Job>? = null

    /** The app's network. */
    var transport: ModelTransport = UrlTransport

    val state: StateFlow<ModelsState> = states.asStateFlow()

    /**
     * The model that is chosen, loaded. It stays so until another one is chosen or the system needs its memory; then it
     * is loaded again here.
     */
    suspend fun load(): SpeechRecognizer {
        inUse?.let { (model, _) -> return model.load() }
        val chosen = states.value.chosen
        val source = if (chosen == null) starter() else store().source(chosen)
        // Meanwhile somebody else may have begun, or another one may have been chosen.
        if (inUse != null || states.value.chosen != chosen) return load()
        val model = engine().speechModel(source)
        val drawing = scope.launch { model.state.collect { state -> states.update { it.copy(loaded = state) } } }
        inUse = model to drawing
        return model.load()
    }

    /** Looks at what is there. */
    fun refresh() {
        attempt { list() }
    }

    fun choose(name: String?) {
        preferences.edit().putString(CHOSEN, name).apply()
        inUse?.let { (model, drawing) ->
            drawing.cancel()
            model.close()
        }
        inUse = null
        states.update { it.copy(chosen = name, loaded = ModelState.NotLoaded) }
    }

    /** Fetches a model; what was fetched of it before is not fetched again. */
    fun fetch(offer: Offer) {
        if (offer.name in pulls) return
        states.update { it.copy(fetching = it.fetching + (offer.name to null), problem = null) }
        pulls[offer.name] = attempt {
            try {
                store().pull(offer.name, PullOptions(), transport) { progress -> note(offer, progress) }
            } finally {
                pulls.remove(offer.name)
                states.update { it.copy(fetching = it.fetching - offer.name) }
            }
            list()
        }
    }

    fun stop(offer: Offer) {
        pulls[offer.name]?.cancel()
    }

    fun remove(model: StoredModel) {
        if (states.value.chosen == model.name) choose(null)
        attempt {
            store().remove("${model.name}@${model.version}")
            list()
        }
    }

    // Called on the engine's dispatcher.
    private fun note(offer: Offer, progress: Progress) = states.update {
        if (offer.name in it.fetching) it.copy(fetching = it.fetching + (offer.name to progress)) else it
    }

    private suspend fun list() {
        val here = store().list()
        states.update { it.copy(here = here) }
    }

    private suspend fun store(): ModelStore = opened ?: engine().openStore(folder).also { opened = it }

    private fun attempt(work: suspend () -> Unit): Job = scope.launch {
        try {
            work()
        } catch (failure: SottoException) {
            states.update { it.copy(problem = failure) }
        }
    }

    companion object {
        private const val CHOSEN = "chosen"

        /** What this sample offers. The sizes are those of the weights in 32 bits and of a tokenizer. */
        val OFFERS = listOf(
            Offer("openai/whisper-tiny.en", "Whisper tiny, English", 153_000_000),
            Offer("openai/whisper-base", "Whisper base, 99 languages", 293_000_000),
        )
    }
}

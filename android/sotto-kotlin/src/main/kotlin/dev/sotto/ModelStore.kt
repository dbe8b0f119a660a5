package dev.sotto

import dev.sotto.ffi.Header
import dev.sotto.ffi.HttpFetch
import dev.sotto.ffi.ImportEvent
import dev.sotto.ffi.ImportSettings
import dev.sotto.ffi.ModelFile
import dev.sotto.ffi.ModelPull
import dev.sotto.ffi.PullEvent
import dev.sotto.ffi.PullSettings
import dev.sotto.internal.model
import dev.sotto.internal.networkProblem
import dev.sotto.internal.store
import dev.sotto.internal.storeSuspending
import dev.sotto.internal.wellFormed
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.cancelChildren
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.future.future
import kotlinx.coroutines.job
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext
import java.io.File
import java.io.IOException
import java.util.concurrent.CompletableFuture
import java.util.function.Consumer
import dev.sotto.ffi.ModelImport as NativeImport
import dev.sotto.ffi.ModelStore as NativeStore

/**
 * A version of a model in a store.
 *
 * @property name name, without the version
 * @property version a publisher's commit, or a hash of what was imported
 * @property active whether the name alone means this version
 * @property previous whether [ModelStore.rollback] leads to this version
 * @property path where it lies
 * @property bytes bytes of its files; `null` where that is not known
 * @property licence its licence, where it names one
 * @property problems what is missing or of the wrong length; empty for a sound version
 */
public data class StoredModel(
    public val name: String,
    public val version: String,
    public val active: Boolean,
    public val previous: Boolean,
    public val path: String,
    public val bytes: Long?,
    public val licence: String?,
    public val problems: List<String>,
) {
    /** What [Sotto.loadSpeech] takes. */
    public val source: ModelSource get() = ModelSource.file(path)
}

/**
 * A model that came into a store from this device.
 *
 * @property model the version that is active now
 * @property leftOut files of the folder that belong to no model and were left out
 */
public data class ImportedModel(public val model: StoredModel, public val leftOut: List<String>)

/** A model on this device that [ModelStore.import] takes in. */
public sealed class ImportSource {
    internal class Path(val path: String) : ImportSource()

    internal class Descriptor(val name: String, val opener: FileOpener) : ImportSource()

    /** What can be imported. */
    public companion object {
        /** A file, or a folder whose files are the model. */
        @JvmStatic
        public fun file(file: File): ImportSource = Path(file.absolutePath)

        /**
         * A file that [opener] opens, which is read to its end, such as a document that the user picked.
         *
         * @param name what the file is called; its ending is kept
         */
        @JvmStatic
        public fun descriptor(name: String, opener: FileOpener): ImportSource = Descriptor(name, opener)
    }
}

/**
 * How a model is fetched.
 *
 * @property endpoint address of the hub; `null` for that of Hugging Face
 * @property token access token for models that want one. It is sent to the hub or the folder alone, and stands in no
 *   error and no log
 * @property update asks the hub or the folder for a newer version although one is here
 * @property from a folder to fetch from instead of a hub: an `https` address or a path on the device, where a version
 *   of a store was copied to, with its `sotto.json`. Not together with [endpoint]
 */
public class PullOptions @JvmOverloads constructor(
    public val endpoint: String? = null,
    public val token: String? = null,
    public val update: Boolean = false,
    public val from: String? = null,
) {
    /** Without the token. */
    override fun toString(): String = "PullOptions(endpoint=$endpoint, update=$update, from=$from)"
}

/**
 * A folder of models: fetched from a hub or a folder, or taken in from the device, checked by their hashes, in several
 * versions of which one is active. Several processes may use the same folder.
 *
 * Every function may be called from any thread, the main thread too. Made by [Sotto.openStore].
 *
 * @sample dev.sotto.samples.store
 */
public class ModelStore internal constructor(
    private val native: NativeStore,
    private val engine: Sotto,
) : AutoCloseable {
    /** All versions of all models. */
    @JvmSynthetic
    public suspend fun list(): List<StoredModel> = files { list().map { it.model() } }

    /**
     * The active version of a model, or the one that is named: `openai/whisper-tiny.en`, `whisper-tiny.en`,
     * `name@version`. Uses no network.
     *
     * @throws StoreException.NotFound where it is not in the store
     */
    @JvmSynthetic
    public suspend fun source(name: String): ModelSource =
        files { ModelSource.file(resolve(name.wellFormed())) }

    /** Makes [version] the one that the name alone means. */
    @JvmSynthetic
    public suspend fun activate(name: String, version: String): StoredModel =
        files { activate(name.wellFormed(), version.wellFormed()).model() }

    /** Goes back to the version that was active before. */
    @JvmSynthetic
    public suspend fun rollback(name: String): StoredModel = files { rollback(name.wellFormed()).model() }

    /** Removes a model, or one version of it (`name@version`). The bytes that are free again. */
    @JvmSynthetic
    public suspend fun remove(name: String): Long = files { remove(name.wellFormed()).toLong() }

    /**
     * Reads every file of a model and compares it with its hash. The bytes that were compared.
     *
     * @throws StoreException.Damaged where one differs
     */
    @JvmSynthetic
    public suspend fun verify(name: String): Long = withContext(engine.dispatcher) {
        val job = store { native.verify(name.wellFormed()) }
        try {
            storeSuspending { job.result() }.toLong()
        } finally {
            job.cancel()
            job.close()
        }
    }

    /**
     * Takes in a model that is on the device already. Cancelling leaves store and source as they were.
     *
     * @param name name in the store, with a word for the version where wanted (`captions@2026`)
     * @param licence its licence, to be shown by lists
     * @param take moves the files instead of copying them
     * @param onProgress called on the engine's dispatcher
     */
    @JvmSynthetic
    public suspend fun import(
        source: ImportSource,
        name: String,
        licence: String? = null,
        take: Boolean = false,
        onProgress: (Progress) -> Unit = {},
    ): ImportedModel = withContext(engine.dispatcher) {
        val settings = ImportSettings(name.wellFormed(), licence?.wellFormed(), take)
        val job = source.located { file -> store { native.`import`(file, settings) } }
        try {
            imported(job, onProgress)
        } finally {
            job.cancel()
            job.close()
        }
    }

    private suspend fun imported(job: NativeImport, onProgress: (Progress) -> Unit): ImportedModel {
        while (true) {
            when (val event = storeSuspending { job.nextEvent() }) {
                is ImportEvent.Progress -> onProgress(bytes(event.done, event.total))
                is ImportEvent.Finished -> return ImportedModel(event.model.model(), event.leftOut)
                null -> throw StoreException.Internal("the import ended without a model", "import it again")
            }
        }
    }

    /**
     * Fetches a model and checks it. A pull that is cancelled or cut goes on where it stopped, the next time.
     *
     * @param reference `owner/name`, with `/file` and `@revision` where wanted
     * @param transport the app's network
     * @param onProgress called on the engine's dispatcher, first for fetching, then for checking
     */
    @JvmSynthetic
    public suspend fun pull(
        reference: String,
        options: PullOptions = PullOptions(),
        transport: ModelTransport = UrlTransport,
        onProgress: (Progress) -> Unit = {},
    ): StoredModel = withContext(engine.dispatcher) {
        val settings = PullSettings(
            options.endpoint?.wellFormed(), options.token?.wellFormed(), options.update, options.from?.wellFormed(),
        )
        val pull = store { native.pull(reference.wellFormed(), settings) }
        try {
            coroutineScope {
                try {
                    fetched(pull, transport, onProgress)
                } finally {
                    // Requests whose answers nobody wants any more.
                    coroutineContext.job.cancelChildren()
                }
            }
        } finally {
            pull.cancel()
            pull.close()
        }
    }

    private suspend fun CoroutineScope.fetched(
        pull: ModelPull,
        transport: ModelTransport,
        onProgress: (Progress) -> Unit,
    ): StoredModel {
        val requests = HashMap<ULong, Job>()
        while (true) {
            when (val event = storeSuspending { pull.nextEvent() }) {
                is PullEvent.Progress -> onProgress(bytes(event.done, event.total))
                is PullEvent.Fetch ->
                    requests[event.id] = launch { Answer(pull, event.id).of(transport, event.request) }
                is PullEvent.Abandon -> requests.remove(event.id)?.cancel()
                is PullEvent.Finished -> return event.model.model()
                null -> throw StoreException.Internal("the pull ended without a model", "pull it again")
            }
        }
    }

    /** Passes the answer to one request on. */
    private class Answer(private val pull: ModelPull, private val id: ULong) : FetchAnswer {
        suspend fun of(transport: ModelTransport, request: HttpFetch) {
            val headers = request.headers.map { it.name to it.value }
            try {
                transport.fetch(FetchRequest(request.head, request.url, headers, request.patienceSeconds), this)
                pull.end(id)
            } catch (failure: IOException) {
                fail(failure)
            } catch (failure: SecurityException) {
                fail(failure)
            }
        }

        private suspend fun fail(failure: Exception) {
            currentCoroutineContext().ensureActive()
            pull.fail(id, networkProblem(UrlTransport.problem(failure), failure.message.orEmpty()))
        }

        override fun begin(status: Int, headers: List<Pair<String, String>>): Boolean =
            pull.respond(
                id,
                status.coerceIn(0, 999).toUShort(),
                headers.map { Header(it.first, it.second.wellFormed()) },
            )

        override suspend fun push(bytes: ByteArray, length: Int): Boolean =
            pull.push(id, if (length == bytes.size) bytes else bytes.copyOf(length))
    }

    /** Lets go of the store. Jobs under way go on. */
    override fun close(): Unit = native.close()

    // For Java.

    /** [list] for Java. */
    public fun listAsync(): CompletableFuture<List<StoredModel>> = engine.scope.future { list() }

    /** [source] for Java. */
    public fun sourceAsync(name: String): CompletableFuture<ModelSource> = engine.scope.future { source(name) }

    /** [activate] for Java. */
    public fun activateAsync(name: String, version: String): CompletableFuture<StoredModel> =
        engine.scope.future { activate(name, version) }

    /** [rollback] for Java. */
    public fun rollbackAsync(name: String): CompletableFuture<StoredModel> = engine.scope.future { rollback(name) }

    /** [remove] for Java. */
    public fun removeAsync(name: String): CompletableFuture<Long> = engine.scope.future { remove(name) }

    /** [verify] for Java. */
    public fun verifyAsync(name: String): CompletableFuture<Long> = engine.scope.future { verify(name) }

    /** [import] for Java. */
    @JvmOverloads
    public fun importAsync(
        source: ImportSource,
        name: String,
        licence: String? = null,
        take: Boolean = false,
        onProgress: Consumer<Progress> = Consumer { },
    ): CompletableFuture<ImportedModel> =
        engine.scope.future { import(source, name, licence, take) { onProgress.accept(it) } }

    /** [pull] for Java, by [UrlTransport]. Cancelling the future stops it; the next one goes on there. */
    @JvmOverloads
    public fun pullAsync(
        reference: String,
        options: PullOptions = PullOptions(),
        onProgress: Consumer<Progress> = Consumer { },
    ): CompletableFuture<StoredModel> =
        engine.scope.future { pull(reference, options) { onProgress.accept(it) } }

    private suspend fun <T> files(call: NativeStore.() -> T): T =
        withContext(engine.dispatcher) { store { native.call() } }

    private fun bytes(done: ULong, total: ULong?): Progress =
        Progress(done.toLong(), total?.toLong(), Progress.Unit.Bytes)

    private inline fun <T> ImportSource.located(use: (ModelFile) -> T): T = when (this) {
        is ImportSource.Path -> use(ModelFile.Path(path.wellFormed()))
        is ImportSource.Descriptor -> try {
            opener.open()
        } catch (failure: IOException) {
            throw unopened(name, failure)
        } catch (failure: SecurityException) {
            throw unopened(name, failure)
        }.use { file -> use(ModelFile.Descriptor(name.wellFormed(), file.descriptor)) }
    }

    private fun unopened(name: String, failure: Exception): StoreException = StoreException.NotFound(
        "$name: ${failure.message ?: "cannot be opened"}", "check that it is there and may be read", failure,
    )
}

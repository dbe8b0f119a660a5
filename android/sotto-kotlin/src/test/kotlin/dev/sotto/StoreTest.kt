package dev.sotto

import com.sun.net.httpserver.HttpExchange
import com.sun.net.httpserver.HttpServer
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.awaitCancellation
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.launch
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Test
import java.io.File
import java.io.IOException
import java.net.InetAddress
import java.net.InetSocketAddress
import java.security.MessageDigest
import java.util.concurrent.ConcurrentLinkedQueue
import java.util.concurrent.Executors
import java.util.concurrent.TimeUnit
import kotlin.random.Random
import kotlin.test.assertContains
import kotlin.test.assertContentEquals
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertTrue

/** Models that come and go, from a hub on this machine and from files. */
class StoreTest {
    private val engine = Fixtures.engine
    private val folder = Fixtures.folder()
    private val hub = Hub()

    @AfterEach
    fun stop() = hub.close()

    private fun test(block: suspend (ModelStore) -> Unit) = waiting { engine.openStore(folder).use { block(it) } }

    private val options get() = PullOptions(endpoint = hub.address)

    @Test
    fun `a model is pulled, listed, checked and found again without the network`() = test { store ->
        assertEquals(emptyList(), store.list())
        val seen = mutableListOf<Progress>()
        val pulled = store.pull(REPOSITORY, options) { seen += it }
        assertEquals(REPOSITORY, pulled.name)
        assertEquals(hub.commit, pulled.version)
        assertEquals("mit", pulled.licence)
        assertTrue(pulled.active && pulled.problems.isEmpty())
        assertTrue(seen.isNotEmpty() && seen.all { it.unit == Progress.Unit.Bytes })
        assertContentEquals(hub.weights, File(pulled.path, "model.safetensors").readBytes())
        assertEquals(listOf(pulled), store.list())
        assertTrue(store.verify(REPOSITORY) >= hub.weights.size)
        hub.close()
        assertEquals(pulled, store.pull(REPOSITORY, options))
        assertTrue(store.source("whisper-nano") is ModelSource.Path)
    }

    @Test
    fun `a newer version is pulled on request and rolled back`() = test { store ->
        val first = store.pull(REPOSITORY, options)
        hub.commit = "b".repeat(40)
        assertEquals(first, store.pull(REPOSITORY, options))
        val second = store.pull(REPOSITORY, PullOptions(endpoint = hub.address, update = true))
        assertEquals("b".repeat(40), second.version)
        assertEquals(2, store.list().size)
        assertEquals(first.version, store.rollback(REPOSITORY).version)
        assertEquals(second.version, store.activate(REPOSITORY, second.version).version)
        assertTrue(store.remove("$REPOSITORY@${first.version}") >= 0)
        assertEquals(listOf(second.version), store.list().map { it.version })
    }

    @Test
    fun `a pull that is cancelled goes on where it stopped`() = test { store ->
        hub.stallAfter = hub.weights.size / 2
        waitingForHalf(store)
        hub.stallAfter = null
        hub.ranges.clear()
        store.pull(REPOSITORY, options)
        assertTrue(hub.ranges.any { it.startsWith("bytes=") && it != "bytes=0-" }, "${hub.ranges}")
    }

    private suspend fun waitingForHalf(store: ModelStore) = kotlinx.coroutines.coroutineScope {
        val pull = launch { store.pull(REPOSITORY, options) }
        while (!hub.stalled.await(1, TimeUnit.MILLISECONDS)) kotlinx.coroutines.delay(1)
        // What was sent has to arrive.
        kotlinx.coroutines.delay(200)
        pull.cancelAndJoin()
    }

    @Test
    fun `a token reaches the hub, not the storage and not the log`() = test { store ->
        hub.token = "hf_secret"
        val without = assertFailsWith<StoreException.Unauthorized> { store.pull(REPOSITORY, options) }
        assertTrue(without.nextStep.isNotEmpty())
        val options = PullOptions(endpoint = hub.address, token = "hf_secret")
        store.pull(REPOSITORY, options)
        assertFalse("secret" in options.toString())
        assertTrue(hub.storageTokens.isEmpty())
        val wrong = PullOptions(endpoint = hub.address, token = "hf_wrong", update = true)
        val refused = assertFailsWith<StoreException.Unauthorized> { store.pull(REPOSITORY, wrong) }
        assertFalse("hf_wrong" in refused.toString())
    }

    @Test
    fun `a copied version is pulled from a folder, on a server or on the device`() = test { store ->
        val published = store.pull(REPOSITORY, options)
        hub.manifest = File(published.path, "sotto.json").readBytes()
        for (from in listOf("${hub.address}/storage", published.path)) {
            engine.openStore(Fixtures.folder()).use { other ->
                val pulled = other.pull(REPOSITORY, PullOptions(from = from))
                assertEquals(published.version, pulled.version)
                assertContentEquals(hub.weights, File(pulled.path, "model.safetensors").readBytes())
                assertTrue(other.verify(REPOSITORY) >= hub.weights.size)
                assertFailsWith<StoreException.NotFound> { other.pull("openai/other", PullOptions(from = from)) }
            }
        }
        val both = PullOptions(endpoint = hub.address, from = published.path)
        for (wrong in listOf(PullOptions(from = "http://192.0.2.1/m"), both)) {
            assertFailsWith<StoreException.InvalidName> { store.pull(REPOSITORY, wrong) }
        }
    }

    @Test
    fun `what goes wrong has a type`() = test { store ->
        assertFailsWith<StoreException.NotFound> { store.pull("openai/nothing", options) }
        assertFailsWith<StoreException.InvalidName> { store.pull("../etc/passwd", options) }
        assertFailsWith<StoreException.InvalidName> { store.pull(REPOSITORY, PullOptions(endpoint = "no address")) }
        assertFailsWith<StoreException.NotFound> { store.source("nobody/has-it") }
        assertFailsWith<StoreException.NotFound> { store.rollback("nobody/has-it") }
        assertFailsWith<StoreException.NotFound> { store.remove("nobody/has-it") }
        assertFailsWith<StoreException.NotFound> { store.verify("nobody/has-it") }
        assertFailsWith<StoreException> { store.activate("nobody/has-it", "\uD800") }
        hub.close()
        val offline = assertFailsWith<StoreException.Network> { store.pull(REPOSITORY, options) }
        assertTrue(offline.nextStep.isNotEmpty())
    }

    @Test
    fun `the app's own network is used, and its failures are told`() = test { store ->
        var requests = 0
        val counting = ModelTransport { request, answer ->
            requests += 1
            UrlTransport.fetch(request, answer)
        }
        store.pull(REPOSITORY, options, counting)
        assertTrue(requests > 3)
        val broken = listOf(
            TransportException(TransportException.Problem.Offline, "airplane mode"),
            TransportException(TransportException.Problem.Insecure, "certificate"),
            java.net.UnknownHostException("hub"),
            SecurityException("Permission denied (missing INTERNET permission?)"),
        )
        for (failure in broken) {
            val update = PullOptions(endpoint = hub.address, update = true)
            assertFailsWith<StoreException.Network>("$failure") {
                store.pull(REPOSITORY, update, { _, _ -> throw failure })
            }
        }
    }

    @Test
    fun `a transport that hangs is cancelled with the pull`() = test { store ->
        val (started, stopped) = CompletableDeferred<Unit>() to CompletableDeferred<Unit>()
        val hanging = ModelTransport { _, _ ->
            started.complete(Unit)
            try {
                awaitCancellation()
            } finally {
                stopped.complete(Unit)
            }
        }
        kotlinx.coroutines.coroutineScope {
            val pull = launch { store.pull(REPOSITORY, options, hanging) }
            started.await()
            pull.cancelAndJoin()
        }
        stopped.await()
    }

    @Test
    fun `what an app's network throws by mistake reaches the caller`() = test { store ->
        assertFailsWith<IllegalArgumentException> {
            store.pull(REPOSITORY, options, { _, _ -> throw IllegalArgumentException("a bug of the app") })
        }
    }

    @Test
    fun `a file is imported, in versions`() = test { store ->
        val older = folder.resolve("older.sotto").apply { writeText("an older model") }
        val one = store.import(ImportSource.file(older), "untertitel@one", licence = "MIT").model
        assertEquals("MIT", one.licence)
        val file = Fixtures.folder().resolve("model.sotto")
        Fixtures.modelFile.copyTo(file)
        val two = store.import(ImportSource.file(file), "untertitel@two", take = true).model
        assertTrue(two.active && !file.exists() && two.version != one.version)
        engine.loadSpeech(store.source("untertitel")).use {
            assertContains(it.transcribe(Fixtures.demo).text, "airport")
        }
        assertEquals(one.version, store.rollback("untertitel").version)
        // What is loaded is decided by whoever loads it.
        assertFailsWith<SpeechException.InvalidModel> { engine.loadSpeech(store.source("untertitel")) }
        engine.loadSpeech(store.source("untertitel@two")).close()
        assertEquals(two.version, store.activate("untertitel", "two").version)
        assertTrue(store.verify("untertitel") > 0)
        assertTrue(store.remove("untertitel") > 0)
        assertEquals(emptyList(), store.list())
    }

    @Test
    fun `a document is imported by its descriptor`() = test { store ->
        val progress = mutableListOf<Progress>()
        val source = ImportSource.descriptor("picked.sotto", Fixtures.opener(Fixtures.modelFile))
        val imported = store.import(source, "picked") { progress += it }
        assertEquals(Fixtures.modelFile.length(), imported.model.bytes)
        engine.loadSpeech(imported.model.source).close()
        val broken = ImportSource.descriptor("gone.sotto") { throw IOException("gone") }
        assertFailsWith<StoreException.NotFound> { store.import(broken, "gone") }
    }

    @Test
    fun `a damaged model is found`() = test { store ->
        val imported = store.import(ImportSource.file(Fixtures.modelFile), "broken")
        val file = if (File(imported.model.path).isDirectory) {
            File(imported.model.path).listFiles()!!.first { it.length() > 1_000_000 }
        } else {
            File(imported.model.path)
        }
        file.setWritable(true)
        val bytes = file.readBytes()
        bytes[bytes.size / 2] = (bytes[bytes.size / 2] + 1).toByte()
        file.writeBytes(bytes)
        assertFailsWith<StoreException.Damaged> { store.verify("broken") }
    }

    @Test
    fun `what cannot be imported leaves nothing`() = test { store ->
        assertFailsWith<StoreException.InvalidName> { store.import(ImportSource.file(Fixtures.modelFile), "a/../b") }
        assertFailsWith<StoreException> { store.import(ImportSource.file(File("/nowhere")), "nowhere") }
        assertEquals(emptyList(), store.list())
    }

    @Test
    fun `a store that was closed, and a folder that is a file`() = waiting {
        val store = engine.openStore(folder)
        store.close()
        store.close()
        assertFailsWith<StoreException.Internal> { store.list() }
        assertFailsWith<StoreException.Internal> { store.pull(REPOSITORY, options) }
        val file = folder.resolve("file").apply { writeText("x") }
        assertFailsWith<StoreException> { engine.openStore(file) }
    }

    @Test
    fun `futures for Java`() = waiting {
        val store = engine.openStoreAsync(folder).get()
        val pulled = store.pullAsync(REPOSITORY, options).get()
        assertEquals(listOf(pulled), store.listAsync().get())
        val older = folder.resolve("older.sotto").apply { writeText("an older model") }
        val one = store.importAsync(ImportSource.file(older), "own@one").get().model
        val two = store.importAsync(ImportSource.file(Fixtures.modelFile), "own@two").get().model
        assertEquals(one.version, store.rollbackAsync("own").get().version)
        assertEquals(two.version, store.activateAsync("own", "two").get().version)
        store.sourceAsync("own").get()
        assertTrue(store.verifyAsync("own").get() > 0)
        assertTrue(store.removeAsync("own").get() >= 0)
        store.close()
    }

    @Test
    fun `packing makes a file, smaller with four bits`() = waiting {
        // The starter model is packed already, which packing says.
        val file = folder.resolve("packed.sotto")
        val options = PackOptions(PackedWeights.Int4)
        val refused = assertFailsWith<SpeechException.InvalidOption> { engine.pack(Fixtures.model, file, options) }
        assertEquals("weights", refused.option)
        assertFailsWith<SpeechException.InvalidModel> { engine.pack(ModelSource.file("/nowhere"), file) }
        assertFalse(file.exists())
    }

    @Test
    fun `the governor slows down where it is hot`() {
        LiveGovernor(GovernorOptions(threads = 4, tiers = listOf(ModelTier("base", 1.0), ModelTier("tiny", 0.4)))).use {
            val cool = it.decide(0.0, DeviceReading(thermal = ThermalState.Nominal))
            assertEquals("start", cool.why)
            var hot = cool
            for (second in 1..120) {
                val reading = DeviceReading(thermal = ThermalState.Critical)
                hot = it.decide(second.toDouble(), reading, spent = SpentTime(0.5, hot.setting))
            }
            assertTrue(hot.setting.stepSeconds > cool.setting.stepSeconds, "$cool $hot")
            assertTrue(hot.setting.tier == 1 && hot.setting.threads <= cool.setting.threads, "$cool $hot")
        }
        val closed = LiveGovernor().apply { close() }
        assertFailsWith<SpeechException.Ended> { closed.decide(0.0, DeviceReading()) }
        assertFailsWith<SpeechException.InvalidOption> { LiveGovernor(GovernorOptions(threads = -1)) }
    }

    @Test
    fun `a profile is cancelled, ends early, and is compared`() = waiting {
        val options = ProfileOptions("starter", "desk", "Linux", laterLoads = 1, warmRuns = 1, sustainedSeconds = 600.0)
        val clips = listOf(ProfileClip("demo", AudioSource.samples(Fixtures.samples), Fixtures.WORDS))
        val engine = Sotto(SottoSettings(threads = 2))
        engine.profileSpeech(Fixtures.model, clips, options).use { profile ->
            val early = launch { profile.events().collect { if (it is ProfileEvent.Working) profile.endEarly() } }
            early.join()
        }
        engine.profileSpeech(Fixtures.model, clips, options).use { profile ->
            profile.endEarly()
            val report = profile.report()
            assertContains(ProfileReport.comparison(report.json, report.json), "<html")
            assertFailsWith<SpeechException.Ended> { profile.report() }
        }
        val profile = engine.profileSpeechAsync(Fixtures.model, clips, options).get()
        val report = profile.reportAsync()
        profile.close()
        // It depends on who was first.
        val ended = runCatching { report.get() }.exceptionOrNull()?.cause
        assertTrue(ended is SpeechException.Cancelled || ended is SpeechException.Ended, "$ended")
        assertFailsWith<SpeechException.Ended> { profile.push(DeviceReading()) }
        assertFailsWith<SpeechException.InvalidOption> { ProfileReport.page("{}") }
        assertFailsWith<SpeechException> {
            engine.profileSpeech(Fixtures.model, emptyList(), options).use { it.report() }
        }
        engine.close()
    }

    /** A hub like the public one, with one repository: descriptions as JSON, large files on a storage of their own. */
    private class Hub : AutoCloseable {
        val weights = Random(1).nextBytes(400_000)
        private val files = mapOf(
            "config.json" to """{"model_type": "whisper", "d_model": 8}""".toByteArray(),
            "tokenizer.json" to "{}".toByteArray(),
            "model.safetensors" to weights,
        )

        @Volatile
        var commit = "a".repeat(40)

        @Volatile
        var token: String? = null

        /** Makes the storage a folder that can be pulled from. */
        @Volatile
        var manifest = ByteArray(0)

        /** Bytes of the weights after which nothing more comes. */
        @Volatile
        var stallAfter: Int? = null
        val stalled = java.util.concurrent.CountDownLatch(1)
        val ranges = ConcurrentLinkedQueue<String>()
        val storageTokens = ConcurrentLinkedQueue<String>()

        private val threads = Executors.newCachedThreadPool { work -> Thread(work).apply { isDaemon = true } }
        private val server = HttpServer.create(InetSocketAddress(InetAddress.getByName("127.0.0.1"), 0), 0).apply {
            executor = threads
            createContext("/") { answer(it) }
            start()
        }
        val address = "http://127.0.0.1:${server.address.port}"

        private val storage = "http://localhost:${server.address.port}"

        private fun answer(exchange: HttpExchange): Unit = exchange.finished {
            val path = exchange.requestURI.path
            val given = exchange.requestHeaders.getFirst("Authorization")
            exchange.requestHeaders.getFirst("Range")?.let { ranges += it }
            when {
                path.startsWith("/storage/") -> {
                    given?.let { storageTokens += it }
                    val name = path.removePrefix("/storage/")
                    send(exchange, if (name == "sotto.json") manifest else files.getValue(name))
                }
                REPOSITORY !in path -> refuse(exchange, 404, "RepoNotFound")
                token != null && given != "Bearer $token" -> refuse(exchange, 401, null)
                path.startsWith("/api/models/") -> send(exchange, description().toByteArray())
                path.endsWith("model.safetensors") -> {
                    // Another host, as far as tokens go.
                    exchange.responseHeaders["Location"] = "$storage/storage/model.safetensors"
                    exchange.sendResponseHeaders(302, -1)
                }
                else -> send(exchange, files.getValue(path.substringAfterLast('/')))
            }
        }

        private fun refuse(exchange: HttpExchange, status: Int, code: String?) {
            code?.let { exchange.responseHeaders["X-Error-Code"] = it }
            exchange.sendResponseHeaders(status, -1)
        }

        private fun send(exchange: HttpExchange, bytes: ByteArray) {
            val range = exchange.requestHeaders.getFirst("Range")
            val from = range?.removePrefix("bytes=")?.substringBefore('-')?.toInt() ?: 0
            if (from > 0) exchange.responseHeaders["Content-Range"] = "bytes $from-${bytes.size - 1}/${bytes.size}"
            val status = if (exchange.requestHeaders.containsKey("Range")) 206 else 200
            if (status == 206 && from == 0) {
                exchange.responseHeaders["Content-Range"] = "bytes 0-${bytes.size - 1}/${bytes.size}"
            }
            if (exchange.requestMethod == "HEAD") return exchange.sendResponseHeaders(200, -1)
            exchange.sendResponseHeaders(status, (bytes.size - from).toLong())
            val stall = stallAfter?.takeIf { bytes.size > 100_000 }
            exchange.responseBody.write(bytes, from, (stall ?: bytes.size) - from)
            if (stall == null) return
            exchange.responseBody.flush()
            stalled.countDown()
            // Until the other side hangs up or the test is over.
            while (stallAfter != null) Thread.sleep(5)
        }

        private fun description(): String {
            val siblings = files.entries.joinToString(",") { (name, bytes) ->
                """{"rfilename":"$name","size":${bytes.size},""" +
                    """"lfs":{"sha256":"${sha256(bytes)}","size":${bytes.size}}}"""
            }
            return """{"sha":"$commit","cardData":{"license":"mit"},"config":{"model_type":"whisper"},""" +
                """"siblings":[$siblings]}"""
        }

        private fun sha256(bytes: ByteArray): String =
            MessageDigest.getInstance("SHA-256").digest(bytes).joinToString("") { "%02x".format(it) }

        override fun close() {
            stallAfter = null
            server.stop(0)
            threads.shutdownNow()
        }

        private fun HttpExchange.finished(block: () -> Unit) = try {
            requestBody.readAllBytes()
            block()
            responseBody.close()
        } catch (_: IOException) {
            // The other side hung up.
        } finally {
            close()
        }
    }

    private companion object {
        const val REPOSITORY = "openai/whisper-nano"
    }
}

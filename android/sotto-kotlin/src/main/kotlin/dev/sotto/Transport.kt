package dev.sotto

import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.channels.trySendBlocking
import java.io.EOFException
import java.io.IOException
import java.net.ConnectException
import java.net.HttpURLConnection
import java.net.NoRouteToHostException
import java.net.ProtocolException
import java.net.SocketException
import java.net.SocketTimeoutException
import java.net.URL
import java.net.UnknownHostException
import javax.net.ssl.SSLException
import kotlin.concurrent.thread

/**
 * A request that an app carries out for [ModelStore.pull]: exactly so, without following redirects, without cookies,
 * caches or credentials of its own.
 *
 * @property head `HEAD` instead of `GET`
 * @property url the address
 * @property headers headers to send; an access token may be among them, so do not log them
 * @property patienceSeconds without an answer or a further byte for that long the request has failed
 */
public class FetchRequest internal constructor(
    public val head: Boolean,
    public val url: String,
    public val headers: List<Pair<String, String>>,
    public val patienceSeconds: Double,
)

/** Takes the answer to a request. */
public interface FetchAnswer {
    /** Status and headers. Whether the body is wanted. */
    public fun begin(status: Int, headers: List<Pair<String, String>>): Boolean

    /** A piece of the body; the array may be used again afterwards. Whether more is wanted. Waits for a slow disk. */
    public suspend fun push(bytes: ByteArray, length: Int): Boolean
}

/** Why a request failed. */
public class TransportException(
    /** What kind of failure it was; decides whether the store tries again. */
    public val problem: Problem,
    reason: String,
    cause: Throwable? = null,
) : IOException(reason, cause) {
    /** Kinds of failures. */
    public enum class Problem {
        /** The device has no connection. */
        Offline,

        /** The name of the host could not be resolved. */
        UnknownHost,

        /** Nothing answers at the address. */
        Refused,

        /** No answer, or no further byte, in time. */
        Timeout,

        /** The connection ended before the answer was complete. */
        Cut,

        /** Certificate or encryption was not accepted. */
        Insecure,

        /** The platform does not let the app make this request. */
        Forbidden,

        /** Anything else. */
        Other,
    }
}

/**
 * The app's network. The library has none: what it wants from the hub passes through here, so an app decides which HTTP
 * client is used, whether a metered connection is good enough, and what is logged. [UrlTransport] suits most apps.
 */
public fun interface ModelTransport {
    /**
     * Carries out one request and hands its answer over. Called on the engine's dispatcher, several at once; cancelled
     * when nobody wants the answer any more.
     *
     * @throws TransportException when it fails; other exceptions of input and output are read for their kind
     */
    public suspend fun fetch(request: FetchRequest, answer: FetchAnswer)
}

/** The HTTP client of Java and Android. An app needs `android.permission.INTERNET` for it. */
public object UrlTransport : ModelTransport {
    private const val PIECE = 128 * 1024

    /** What the thread of a request hands over. */
    private sealed interface Part {
        class Head(val status: Int, val headers: List<Pair<String, String>>) : Part

        class Body(val bytes: ByteArray, val length: Int) : Part
    }

    override suspend fun fetch(request: FetchRequest, answer: FetchAnswer) {
        val connection = open(request)
        val parts = Channel<Part>(capacity = 2)
        // Reading cannot be interrupted, and closing a connection waits for whoever reads from it: so a thread of its
        // own, which nobody waits for.
        thread(isDaemon = true, name = "sotto-fetch") { read(request, connection, parts) }
        try {
            for (part in parts) {
                val wanted = when (part) {
                    is Part.Head -> answer.begin(part.status, part.headers)
                    is Part.Body -> answer.push(part.bytes, part.length)
                }
                if (!wanted) return
            }
        } finally {
            parts.cancel()
        }
    }

    private fun read(request: FetchRequest, connection: HttpURLConnection, parts: Channel<Part>) {
        try {
            if (readWhole(request, connection, parts)) parts.close() else connection.disconnect()
        } catch (problem: IOException) {
            connection.disconnect()
            parts.close(problem)
        } catch (problem: RuntimeException) {
            // A missing permission, and whatever else the platform's client throws.
            connection.disconnect()
            parts.close(problem)
        }
    }

    /** Whether the answer was read to its end, so that the connection can serve another request. */
    private fun readWhole(request: FetchRequest, connection: HttpURLConnection, parts: Channel<Part>): Boolean {
        val status = connection.responseCode
        val headers = connection.headerFields.orEmpty().flatMap { (name, values) ->
            // The status line has no name.
            if (name == null) emptyList() else values.map { name to it }
        }
        if (parts.trySendBlocking(Part.Head(status, headers)).isFailure) return false
        if (request.head) return true
        val body = (if (status >= 400) connection.errorStream else connection.inputStream) ?: return true
        while (true) {
            val bytes = ByteArray(PIECE)
            val length = body.read(bytes)
            if (length < 0) return true
            if (parts.trySendBlocking(Part.Body(bytes, length)).isFailure) return false
        }
    }

    private fun open(request: FetchRequest): HttpURLConnection {
        val patience = (request.patienceSeconds * 1000).toInt().coerceIn(1, 3_600_000)
        val connection = URL(request.url).openConnection() as? HttpURLConnection
            ?: throw TransportException(TransportException.Problem.Other, "the address is not one of HTTP")
        return connection.apply {
            requestMethod = if (request.head) "HEAD" else "GET"
            instanceFollowRedirects = false
            useCaches = false
            connectTimeout = patience
            readTimeout = patience
            // Else Android compresses on its own, and ranges and lengths mean something else.
            setRequestProperty("Accept-Encoding", "identity")
            request.headers.forEach { (name, value) -> setRequestProperty(name, value) }
        }
    }

    /** What kind of failure an exception of Java's network is. */
    internal fun problem(failure: Throwable): TransportException.Problem = when (failure) {
        is TransportException -> failure.problem
        is UnknownHostException -> TransportException.Problem.UnknownHost
        is NoRouteToHostException -> TransportException.Problem.Offline
        is ConnectException -> TransportException.Problem.Refused
        is SocketTimeoutException -> TransportException.Problem.Timeout
        is SSLException -> TransportException.Problem.Insecure
        // Without the permission, or where cleartext traffic is not allowed.
        is SecurityException -> TransportException.Problem.Forbidden
        is EOFException, is ProtocolException, is SocketException -> TransportException.Problem.Cut
        else ->
            if (failure.message.orEmpty().startsWith("Cleartext")) {
                TransportException.Problem.Forbidden
            } else {
                TransportException.Problem.Other
            }
    }
}

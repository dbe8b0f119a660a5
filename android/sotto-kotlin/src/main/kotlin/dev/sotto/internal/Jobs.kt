package dev.sotto.internal

import dev.sotto.SpeechException
import dev.sotto.ffi.InternalException
import dev.sotto.ffi.SpeechFailure
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow

/** Native work: its events, and how it is stopped. The generated classes have no type of their own for this. */
internal class NativeJob<E : Any>(
    val next: suspend () -> E?,
    val cancel: () -> Unit,
    val close: () -> Unit,
)

/**
 * Events of a job that is started anew for every collector. Whoever stops collecting stops the native work, within one
 * token; nobody waits for that.
 */
internal fun <E : Any> eventsOf(start: () -> NativeJob<E>): Flow<E> = flow {
    val job = speech { start() }
    try {
        while (true) emit(speechSuspending { job.next() } ?: break)
    } finally {
        job.cancel()
        job.close()
    }
}

/** Calls native code of the speech task; its errors become ours. */
internal inline fun <T> speech(closed: String = "the engine", call: () -> T): T = try {
    call()
} catch (failure: SpeechFailure) {
    throw failure.exception()
} catch (failure: InternalException) {
    throw SpeechException.Internal(BUG, "try again; if it stays, report it with the lines above it in the log", failure)
} catch (failure: IllegalStateException) {
    throw destroyed(closed, failure)
}

/** The same for calls that wait. A coroutine that was cancelled says so, whatever the native side says. */
internal suspend inline fun <T> speechSuspending(closed: String = "the engine", call: () -> T): T = try {
    speech(closed, call)
} catch (failure: SpeechException) {
    currentCoroutineContext().ensureActive()
    throw failure
}

private const val BUG = "the native code panicked, which is a bug in Sotto"

@PublishedApi
internal fun destroyed(what: String, failure: IllegalStateException): Throwable =
    // Coroutines' CancellationException is one of these too, and passes through.
    if (failure is kotlinx.coroutines.CancellationException) {
        failure
    } else {
        SpeechException.Ended("$what was closed", "make a new one", failure)
    }

internal fun SpeechFailure.exception(): SpeechException = when (this) {
    is SpeechFailure.Cancelled -> SpeechException.Cancelled("cancelled", this)
    is SpeechFailure.InvalidModel -> SpeechException.InvalidModel(reason, nextStep, this)
    is SpeechFailure.OutOfBudget ->
        SpeechException.OutOfBudget(reason, nextStep, needed.toLong(), available.toLong(), this)
    is SpeechFailure.UnsupportedDevice -> SpeechException.UnsupportedDevice(reason, nextStep, this)
    is SpeechFailure.InvalidAudio -> SpeechException.InvalidAudio(reason, nextStep, this)
    is SpeechFailure.InvalidOption -> SpeechException.InvalidOption(option, reason, nextStep, this)
    is SpeechFailure.Unloaded -> SpeechException.Unloaded(reason, nextStep, this)
    is SpeechFailure.Behind -> SpeechException.Behind(reason, nextStep, this)
    is SpeechFailure.Ended -> SpeechException.Ended(reason, nextStep, this)
    is SpeechFailure.Internal -> SpeechException.Internal(reason, nextStep, this)
}

package dev.sotto.internal

import dev.sotto.StoreException
import dev.sotto.StoredModel
import dev.sotto.TransportException.Problem
import dev.sotto.ffi.InternalException
import dev.sotto.ffi.NetworkProblem
import dev.sotto.ffi.StoreFailure
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import dev.sotto.ffi.StoredModel as NativeStoredModel

/** Calls native code of the store; its errors become ours. */
internal inline fun <T> store(call: () -> T): T = try {
    call()
} catch (failure: StoreFailure) {
    throw failure.exception()
} catch (failure: InternalException) {
    throw StoreException.Internal(
        "the native code panicked, which is a bug in Sotto",
        "try again; if it stays, report it with the lines above it in the log",
        failure,
    )
} catch (cancelled: CancellationException) {
    throw cancelled
} catch (failure: IllegalStateException) {
    throw StoreException.Internal("the store was closed", "open it again", failure)
}

/** The same for calls that wait. A coroutine that was cancelled says so, whatever the native side says. */
internal suspend inline fun <T> storeSuspending(call: () -> T): T = try {
    store(call)
} catch (failure: StoreException) {
    currentCoroutineContext().ensureActive()
    throw failure
}

internal fun StoreFailure.exception(): StoreException = when (this) {
    is StoreFailure.Cancelled -> StoreException.Cancelled("cancelled", this)
    is StoreFailure.InvalidName -> StoreException.InvalidName(reason, nextStep, this)
    is StoreFailure.NotFound -> StoreException.NotFound(reason, nextStep, this)
    is StoreFailure.Damaged -> StoreException.Damaged(reason, nextStep, this)
    is StoreFailure.Unsupported -> StoreException.Unsupported(reason, nextStep, this)
    is StoreFailure.Network -> StoreException.Network(reason, nextStep, this)
    is StoreFailure.Unauthorized -> StoreException.Unauthorized(reason, nextStep, this)
    is StoreFailure.NoSpace -> StoreException.NoSpace(reason, nextStep, this)
    is StoreFailure.Busy -> StoreException.Busy(reason, nextStep, this)
    is StoreFailure.Internal -> StoreException.Internal(reason, nextStep, this)
}

internal fun NativeStoredModel.model(): StoredModel =
    StoredModel(name, version, active, previous, path, bytes?.toLong(), licence, problems)

internal fun networkProblem(problem: Problem, reason: String): NetworkProblem = when (problem) {
    Problem.Offline -> NetworkProblem.Offline
    Problem.UnknownHost -> NetworkProblem.UnknownHost
    Problem.Refused -> NetworkProblem.Refused
    Problem.Timeout -> NetworkProblem.Timeout
    Problem.Cut -> NetworkProblem.Cut
    Problem.Insecure -> NetworkProblem.Insecure(reason.wellFormed())
    Problem.Forbidden -> NetworkProblem.Forbidden(reason.wellFormed())
    Problem.Other -> NetworkProblem.Other(reason.wellFormed())
}

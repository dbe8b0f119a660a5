package dev.sotto.sample.ui

import android.content.Context
import dev.sotto.SottoException
import dev.sotto.SpeechException
import dev.sotto.StoreException
import dev.sotto.android.MicrophoneException

/**
 * What a person is told of a failure, in the language of the device: what it is, and what to do. The library's own
 * words are for developers and in English; its codes stay the same, so each has a text in `res/values/errors.xml`.
 */
fun Context.messageOf(failure: SottoException): String {
    // By name, because the resources belong to the app that uses this module.
    val text = resources.getIdentifier(nameOf(failure), "string", packageName)
    // A code that is younger than this sample.
    return if (text == 0) "${failure.reason}\n${failure.nextStep}".trim() else getString(text)
}

private fun nameOf(failure: SottoException): String = when (failure) {
    is SpeechException -> "error_speech_${failure.code}"
    is StoreException -> "error_store_${failure.code}"
    is MicrophoneException -> "error_microphone_${failure.code}"
    else -> "error_${failure.code}"
}

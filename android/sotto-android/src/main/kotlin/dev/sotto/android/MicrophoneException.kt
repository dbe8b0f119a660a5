package dev.sotto.android

import dev.sotto.SottoException

/** Why the microphone cannot be heard. */
public sealed class MicrophoneException(
    code: String,
    reason: String,
    nextStep: String,
    cause: Throwable? = null,
) : SottoException(code, reason, nextStep, cause) {
    /** The user has not allowed the app to record, or has taken that back. */
    public class PermissionMissing internal constructor(cause: Throwable? = null) : MicrophoneException(
        "permission",
        "the app may not record: RECORD_AUDIO was not granted",
        "ask for Manifest.permission.RECORD_AUDIO with ActivityResultContracts.RequestPermission, then start again",
        cause,
    )

    /** Another app holds the microphone in a way that forbids sharing it, such as a phone call. */
    public class Busy internal constructor(reason: String) : MicrophoneException(
        "busy", reason, "tell the user, and start again when the call is over",
    )

    /** The device has no microphone, or the system does not open it. */
    public class Unavailable internal constructor(reason: String, cause: Throwable? = null) : MicrophoneException(
        "unavailable", reason, "look for a microphone with PackageManager.FEATURE_MICROPHONE; else start again", cause,
    )

    /** The system stopped the recording with an error. */
    public class Failed internal constructor(reason: String) : MicrophoneException(
        "failed", reason, "start again; in the background a foreground service of type microphone is needed",
    )
}

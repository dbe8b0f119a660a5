package dev.sotto

/**
 * What every error of Sotto tells: what kind it is, why it happened, and what to do next.
 *
 * No error ever quotes what a user said, so the text may be logged and reported. Each task has a sealed class of its
 * own below this one, for `when`: [SpeechException] for speech, [StoreException] for the model store.
 *
 * @property code a word that stays the same in all versions and languages, such as `out_of_budget`; for statistics
 * @property reason what happened, and where
 * @property nextStep what the app or the user can do about it
 * @sample dev.sotto.samples.errors
 */
public abstract class SottoException(
    public val code: String,
    public val reason: String,
    public val nextStep: String,
    cause: Throwable? = null,
) : Exception(if (nextStep.isEmpty()) reason else "$reason; next step: $nextStep", cause)

/**
 * The native library is missing, is of another processor or of another version than the Kotlin code.
 *
 * It comes from the first call that needs the library, and from every later one.
 */
public class LibraryException internal constructor(
    reason: String,
    nextStep: String,
    cause: Throwable?,
) : SottoException("library", reason, nextStep, cause)

/**
 * Why something about speech did not work. Ten cases, the same in Rust, Kotlin and Swift.
 *
 * A coroutine that is cancelled ends with `CancellationException` as usual, never with [Cancelled].
 */
public sealed class SpeechException(
    code: String,
    reason: String,
    nextStep: String,
    cause: Throwable? = null,
) : SottoException(code, reason, nextStep, cause) {
    /** Someone else cancelled this work: `cancel()` or `close()` was called, or a future was cancelled. */
    public class Cancelled internal constructor(reason: String, cause: Throwable? = null) :
        SpeechException("cancelled", reason, "", cause)

    /** There is no model at that place, or it is damaged, or of another kind. */
    public class InvalidModel internal constructor(reason: String, nextStep: String, cause: Throwable? = null) :
        SpeechException("invalid_model", reason, nextStep, cause)

    /**
     * The memory limit is too small for this now. Nothing was allocated.
     *
     * @property needed bytes that were asked for
     * @property available bytes that are left of the limit
     */
    public class OutOfBudget internal constructor(
        reason: String,
        nextStep: String,
        public val needed: Long,
        public val available: Long,
        cause: Throwable? = null,
    ) : SpeechException("out_of_budget", reason, nextStep, cause)

    /** This device cannot run the model. */
    public class UnsupportedDevice internal constructor(reason: String, nextStep: String, cause: Throwable? = null) :
        SpeechException("unsupported_device", reason, nextStep, cause)

    /** The recording or the samples cannot be read. */
    public class InvalidAudio internal constructor(reason: String, nextStep: String, cause: Throwable? = null) :
        SpeechException("invalid_audio", reason, nextStep, cause)

    /**
     * An option contradicts another one or the model.
     *
     * @property option name of the option
     */
    public class InvalidOption internal constructor(
        public val option: String,
        reason: String,
        nextStep: String,
        cause: Throwable? = null,
    ) : SpeechException("invalid_option", reason, nextStep, cause)

    /** The recognizer was closed, or its model was unloaded. */
    public class Unloaded internal constructor(reason: String, nextStep: String, cause: Throwable? = null) :
        SpeechException("unloaded", reason, nextStep, cause)

    /** Samples come in faster than this device decodes them. Nothing was taken. */
    public class Behind internal constructor(reason: String, nextStep: String, cause: Throwable? = null) :
        SpeechException("behind", reason, nextStep, cause)

    /** The session or the engine has ended already. */
    public class Ended internal constructor(reason: String, nextStep: String, cause: Throwable? = null) :
        SpeechException("ended", reason, nextStep, cause)

    /** The system refused something, or Sotto has a bug. */
    public class Internal internal constructor(reason: String, nextStep: String, cause: Throwable? = null) :
        SpeechException("internal", reason, nextStep, cause)
}

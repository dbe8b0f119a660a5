package dev.sotto

/** How models compute. */
public enum class Precision {
    /** 8-bit weights and activations: fast, small, and with no more errors. */
    Int8,

    /** 32-bit floating point: the reference. Not for packed models. */
    Float32,
}

/**
 * Settings of an engine. Immutable; the defaults suit most apps.
 *
 * @property threads threads that compute together; 0 for the number of big cores
 * @property memoryLimit most bytes that all models and transcriptions may hold together. With a limit, a model that
 *   nobody uses stays loaded until its memory is needed; without one nothing is refused, and memory is given back at
 *   once
 * @property precision how models compute
 * @property cacheFolder where folders and ggml files are kept packed, so that they load in milliseconds from the second
 *   time on: a folder of the app's caches. Nothing is written without. Packed models need none
 * @property cacheLimit most bytes of that folder
 * @property instructionSet instruction set to compute with, by its name; for tests and comparisons
 */
public data class SottoSettings @JvmOverloads constructor(
    public val threads: Int = 0,
    public val memoryLimit: Long? = null,
    public val precision: Precision = Precision.Int8,
    public val cacheFolder: String? = null,
    public val cacheLimit: Long? = null,
    public val instructionSet: String? = null,
)

/** How much the library logs. Nothing that a user says is ever logged, at any level. */
public enum class LogLevel {
    /** Nothing. */
    Off,

    /** What failed. */
    Error,

    /** What was worked around, too. */
    Warn,

    /** What was loaded and unloaded, too. */
    Info,

    /** Steps of the engine, too. */
    Debug,
}

/** How much memory is given back. */
public enum class TrimLevel {
    /** Pages of mapped models that nobody computes with at the moment: they are read again when needed. */
    Pages,

    /** Models without a user, too. */
    Unused,

    /** Every model that does not compute right now, too: its users get [SpeechException.Unloaded]. */
    Idle,
}

/**
 * What trimming gave back.
 *
 * @property models models that were unloaded
 * @property memory bytes of the budget that are free again
 * @property pages bytes of mapped files that the system may take
 */
public data class Trimmed(public val models: Int, public val memory: Long, public val pages: Long)

/**
 * A model that an engine holds.
 *
 * @property id its number within this engine
 * @property name file or folder
 * @property bytes bytes of the budget that it holds
 * @property handles recognizers that use it
 * @property running transcriptions under way
 * @property idleSeconds seconds since it was used last
 */
public data class LoadedModel(
    public val id: Long,
    public val name: String,
    public val bytes: Long,
    public val handles: Int,
    public val running: Int,
    public val idleSeconds: Double,
)

/**
 * Memory of an engine.
 *
 * @property used bytes that models and transcriptions hold
 * @property limit most bytes that they may hold; `null` where nothing limits them
 */
public data class MemoryUse(public val used: Long, public val limit: Long?)

/**
 * What a model would take.
 *
 * @property loading bytes at the peak while it is loaded
 * @property model bytes of the loaded model
 * @property session bytes of each transcription with default options, on top
 * @property peak bytes that must be free to load it and transcribe
 */
public data class MemoryEstimate(
    public val loading: Long,
    public val model: Long,
    public val session: Long,
    public val peak: Long,
)

/**
 * What Sotto knows of this processor.
 *
 * @property instructionSet name of the instruction set that it computes with
 * @property notice what was found wrong with a better one; `null` where nothing is
 * @property threads threads that an engine uses by default
 */
public data class ProcessorInfo(
    public val instructionSet: String,
    public val notice: String?,
    public val threads: Int,
)

/** What happens while speech is looked for in a recording. */
public sealed interface VoiceEvent {
    /**
     * How far it has come.
     *
     * @property progress milliseconds of audio
     */
    public data class Working(public val progress: Progress) : VoiceEvent

    /**
     * Someone speaks.
     *
     * @property start when it begins, in seconds
     * @property end when it ends, in seconds
     */
    public data class Speech(public val start: Double, public val end: Double) : VoiceEvent

    /**
     * The recording was heard to its end.
     *
     * @property duration its length in seconds
     * @property warnings what was wrong with it
     */
    public data class Finished(public val duration: Double, public val warnings: List<String>) : VoiceEvent
}

/** Bits of packed weights. */
public enum class PackedWeights {
    /** 8 bits: no more errors than the original. */
    Int8,

    /** 4 bits in the decoder: a third smaller, a little less exact. */
    Int4,
}

/**
 * How a model is packed.
 *
 * @property weights bits of the weights
 * @property compact small rather than mapped as a whole: a little slower to load
 * @property replace replaces a file at the destination
 */
public data class PackOptions @JvmOverloads constructor(
    public val weights: PackedWeights = PackedWeights.Int8,
    public val compact: Boolean = false,
    public val replace: Boolean = false,
)

/**
 * A file that [Sotto.pack] made.
 *
 * @property bytes its size
 * @property weights bits of its weights, in words
 */
public data class PackedModel(public val bytes: Long, public val weights: String)

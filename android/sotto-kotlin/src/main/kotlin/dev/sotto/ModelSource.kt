package dev.sotto

import java.io.Closeable
import java.io.File

/**
 * A file that is open: a part of it is a model or a recording.
 *
 * @property descriptor file descriptor of this process
 * @property offset first byte of the part
 * @property length bytes of the part; `null` for all up to the end. A recording may also come from a pipe
 * @property owner closed as soon as the native side has a descriptor of its own
 */
public class OpenFile @JvmOverloads constructor(
    public val descriptor: Int,
    public val offset: Long,
    public val length: Long?,
    private val owner: Closeable = Closeable { },
) : Closeable by owner

/** Opens a file each time it is needed. Called on the engine's dispatcher, never on the main thread. */
public fun interface FileOpener {
    /** Opens the file; whoever calls this closes the result. */
    public fun open(): OpenFile
}

/**
 * Where a model is. A packed model (`sotto quantize`) is mapped where it lies, in a file or inside the app's package,
 * and costs no memory of its own until it is used. On Android see also `AndroidModels` of `sotto-android`.
 */
public sealed class ModelSource {
    internal class Path(val path: String) : ModelSource()

    internal class Bytes(val name: String, val bytes: () -> ByteArray) : ModelSource()

    internal class Descriptor(val name: String, val opener: FileOpener) : ModelSource()

    /** Names models. */
    public companion object {
        /** A packed model, a ggml file, or a folder of safetensors. */
        @JvmStatic
        public fun file(file: File): ModelSource = Path(file.absolutePath)

        /** A packed model, a ggml file, or a folder of safetensors, by its path. */
        @JvmStatic
        public fun file(path: String): ModelSource = file(File(path))

        /** A packed model in memory; copied once. [name] stands in error messages. */
        @JvmStatic
        @JvmOverloads
        public fun bytes(bytes: ByteArray, name: String = "model in memory"): ModelSource = Bytes(name) { bytes }

        /** A packed model inside a file that [opener] opens when the model is loaded. Mapped, not copied. */
        @JvmStatic
        public fun descriptor(name: String, opener: FileOpener): ModelSource = Descriptor(name, opener)

        /** A packed model that is a resource of the class path, such as those of the artefact `sotto-starter`. */
        @JvmStatic
        public fun resource(path: String): ModelSource {
            val name = path.removePrefix("/")
            val url = ModelSource::class.java.classLoader?.getResource(name)
            // A folder of classes: no need to copy what lies in a file.
            if (url != null && url.protocol == "file") return file(File(url.toURI()))
            return Bytes(name) {
                val stream = url?.openStream() ?: throw SpeechException.InvalidModel(
                    "there is no resource $name on the class path",
                    "add the artefact that holds it (dev.sotto:sotto-starter for the starter model), or load a file",
                )
                stream.use { it.readBytes() }
            }
        }

        /**
         * The starter model of the artefact `sotto-starter` on the class path: English, 20 MB, small and a little less
         * exact than Whisper tiny.en. On Android use `AndroidModels.starter(context)`.
         */
        @JvmStatic
        public fun starter(): ModelSource = resource(STARTER)

        /** Where the artefact `sotto-starter` holds its model, as a resource and as an Android asset. */
        public const val STARTER: String = "sotto/starter.en.sotto"
    }
}

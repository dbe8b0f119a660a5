package dev.sotto.internal

import dev.sotto.LibraryException
import dev.sotto.ffi.uniffiEnsureInitialized

/** Loads the native library once, before anything of the generated code runs. */
internal object NativeLibrary {
    private const val NAME = "sotto_ffi"

    private val failure: Throwable? = load()

    /** The library's name, or the file that the app names: as the generated code finds it. */
    val location: String
        get() = System.getProperty("uniffi.component.sotto.libraryOverride") ?: NAME

    /** Says what is wrong with the library, and what to do, where something is. */
    fun ensure() {
        failure?.let { throw explain(it) }
    }

    private fun load(): Throwable? = try {
        // JNA opens libraries without calling JNI_OnLoad, by which the native side learns of the virtual machine.
        if (onAndroid) System.loadLibrary(NAME)
        uniffiEnsureInitialized()
        null
    } catch (problem: LinkageError) {
        problem
    } catch (problem: RuntimeException) {
        // UniFFI's checks of its own version and of the signatures.
        problem
    }

    private fun explain(problem: Throwable): LibraryException {
        val cause = generateSequence(problem) { it.cause }.last()
        val told = cause.message?.lineSequence()?.first().orEmpty()
        return when {
            "checksum" in told || "contract version" in told -> LibraryException(
                "lib$NAME is of another version than the Kotlin code: $told",
                "take library and Kotlin code from the same release; on the desk build both again: " +
                    "cargo build -p sotto-ffi, then the bindings",
                problem,
            )
            onAndroid -> LibraryException(
                "lib$NAME.so cannot be loaded on ${System.getProperty("os.arch")}: $told",
                "depend on dev.sotto:sotto-android, which brings it for arm64-v8a, armeabi-v7a and x86_64, and " +
                    "look at abiFilters and at packaging.jniLibs.excludes of the app",
                problem,
            )
            else -> LibraryException(
                "the native library $NAME cannot be loaded: $told",
                "build it (cargo build --release -p sotto-ffi) and name its folder: -Djna.library.path=FOLDER, " +
                    "or the file itself: -Duniffi.component.sotto.libraryOverride=FILE",
                problem,
            )
        }
    }

    private val onAndroid: Boolean
        get() = System.getProperty("java.vm.vendor").orEmpty().contains("Android")
}

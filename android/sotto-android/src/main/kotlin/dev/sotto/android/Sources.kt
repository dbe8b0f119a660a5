package dev.sotto.android

import android.content.Context
import android.content.res.AssetFileDescriptor
import android.net.Uri
import dev.sotto.AudioSource
import dev.sotto.FileOpener
import dev.sotto.ModelSource
import dev.sotto.OpenFile
import java.io.FileNotFoundException
import java.io.IOException

/**
 * Models inside the app's package or behind a content URI, mapped where they lie: no copy in memory or on disk.
 *
 * An asset must not be compressed. The Android Gradle plugin leaves `.sotto` files alone when the app says so:
 * `androidResources { noCompress += "sotto" }`.
 */
public object AndroidModels {
    /** A packed model in the app's `assets`. */
    @JvmStatic
    public fun asset(context: Context, path: String): ModelSource =
        ModelSource.descriptor(path, assetOpener(context, path))

    /** A packed model that the user picked (`ACTION_OPEN_DOCUMENT`) or that another app offers. */
    @JvmStatic
    public fun content(context: Context, uri: Uri): ModelSource =
        ModelSource.descriptor(nameOf(uri), contentOpener(context, uri))

    /** The starter model of the artefact `sotto-starter`: English, 20 MB. */
    @JvmStatic
    public fun starter(context: Context): ModelSource = asset(context, ModelSource.STARTER)
}

/** Recordings inside the app's package or behind a content URI. */
public object AndroidAudio {
    /** A recording in the app's `assets`. WAV files are compressed there unless `noCompress` names them. */
    @JvmStatic
    public fun asset(context: Context, path: String): AudioSource =
        AudioSource.descriptor(path, assetOpener(context, path))

    /** A recording that the user picked or that another app shares. */
    @JvmStatic
    public fun content(context: Context, uri: Uri): AudioSource =
        AudioSource.descriptor(nameOf(uri), contentOpener(context, uri))
}

private fun assetOpener(context: Context, path: String): FileOpener {
    // Not the activity, which would live as long as the source does.
    val assets = context.applicationContext.assets
    return FileOpener {
        try {
            assets.openFd(path).open()
        } catch (problem: FileNotFoundException) {
            val there = runCatching { assets.open(path).close() }.isSuccess
            val reason = if (there) {
                "the asset is compressed; add androidResources { noCompress += \"${path.substringAfterLast('.')}\" }"
            } else {
                "there is no such asset; add the artefact or the file that holds it"
            }
            throw IOException(reason, problem)
        }
    }
}

private fun contentOpener(context: Context, uri: Uri): FileOpener {
    val resolver = context.applicationContext.contentResolver
    return FileOpener {
        val opened = resolver.openAssetFileDescriptor(uri, "r")
        opened?.open() ?: throw IOException("the app behind the URI gave nothing; let the user pick the file again")
    }
}

/** Without the rest of the URI, which may say things about the user. */
private fun nameOf(uri: Uri): String = "content of ${uri.authority ?: uri.scheme ?: "a URI"}"

private fun AssetFileDescriptor.open(): OpenFile {
    val known = length != AssetFileDescriptor.UNKNOWN_LENGTH
    val length = if (known) length else parcelFileDescriptor.statSize - startOffset
    if (length < 0) {
        close()
        throw IOException("the app behind the URI streams its content; copy it into a file first")
    }
    return OpenFile(parcelFileDescriptor.fd, startOffset, length, this)
}

package dev.sotto.sample.ui

import android.content.ContentProvider
import android.content.ContentValues
import android.content.Context
import android.content.Intent
import android.database.Cursor
import android.database.MatrixCursor
import android.net.Uri
import android.os.ParcelFileDescriptor
import android.provider.OpenableColumns
import java.io.File
import java.io.FileNotFoundException

/** A file to share: its name, what kind it is, and its text. */
class SharedText(val name: String, val type: String, val text: String)

/**
 * Lets the app that a user shares with read the files of the folder `shared` in the caches, and nothing else. The app's
 * manifest declares it as `PACKAGE.shared`, not exported, with `grantUriPermissions`.
 */
class SharedFiles : ContentProvider() {
    override fun onCreate(): Boolean = true

    override fun openFile(uri: Uri, mode: String): ParcelFileDescriptor {
        if (mode != "r") throw FileNotFoundException("only for reading")
        return ParcelFileDescriptor.open(file(uri), ParcelFileDescriptor.MODE_READ_ONLY)
    }

    override fun getType(uri: Uri): String = when (file(uri).extension) {
        "srt" -> "application/x-subrip"
        "json" -> "application/json"
        "html" -> "text/html"
        else -> "text/plain"
    }

    override fun query(
        uri: Uri, columns: Array<String>?, where: String?, values: Array<String>?, order: String?,
    ): Cursor {
        val file = file(uri)
        return MatrixCursor(arrayOf(OpenableColumns.DISPLAY_NAME, OpenableColumns.SIZE)).apply {
            addRow(listOf<Any>(file.name, file.length()))
        }
    }

    override fun insert(uri: Uri, values: ContentValues?): Uri? = null

    override fun delete(uri: Uri, where: String?, values: Array<String>?): Int = 0

    override fun update(uri: Uri, values: ContentValues?, where: String?, arguments: Array<String>?): Int = 0

    private fun file(uri: Uri): File {
        val folder = folder(checkNotNull(context))
        // The last part alone: no path leads out of the folder.
        val file = File(folder, File(uri.lastPathSegment.orEmpty()).name)
        if (!file.isFile) throw FileNotFoundException("there is no such file")
        return file
    }

    companion object {
        private fun folder(context: Context) = File(context.cacheDir, "shared")

        /** Writes texts into files and gives the intent that shares them. */
        fun send(context: Context, texts: List<SharedText>): Intent {
            val folder = folder(context).apply { mkdirs() }
            val uris = texts.map { shared ->
                File(folder, shared.name).writeText(shared.text)
                Uri.Builder().scheme("content")
                    .authority("${context.packageName}.shared").appendPath(shared.name).build()
            }
            val type = texts.map { it.type }.distinct().singleOrNull() ?: "*/*"
            val intent = if (uris.size == 1) {
                Intent(Intent.ACTION_SEND).putExtra(Intent.EXTRA_STREAM, uris.single())
            } else {
                Intent(Intent.ACTION_SEND_MULTIPLE).putParcelableArrayListExtra(Intent.EXTRA_STREAM, ArrayList(uris))
            }
            return intent.setType(type).addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION)
        }
    }
}

package dev.sotto.sample.speech

import android.Manifest
import android.content.Intent
import android.content.pm.PackageManager
import android.graphics.Typeface
import android.os.Bundle
import android.view.View
import android.widget.Button
import android.widget.TextView
import dev.sotto.android.AndroidAudio
import dev.sotto.sample.ui.SampleActivity
import dev.sotto.sample.ui.SharedFiles
import dev.sotto.sample.ui.SharedText
import dev.sotto.sample.ui.isShown
import dev.sotto.sample.ui.showOrHide

/** Three pages over what [SpeechApp] holds. Whatever needs the system, such as permissions and other apps, is here. */
class SpeechActivity : SampleActivity() {
    val app: SpeechApp get() = application as SpeechApp

    private var page = 0

    override fun onCreate(saved: Bundle?) {
        super.onCreate(saved)
        setContentView(R.layout.activity_speech)
        saved?.let { app.captions.restore(it.getString(TEXT, ""), it.getBoolean(INTERRUPTED)) }
        captionsPage(this)
        recordingPage(this)
        modelsPage(this)
        PAGES.forEachIndexed { index, (tab, _) -> findViewById<Button>(tab)!!.setOnClickListener { show(index) } }
        show(saved?.getInt(PAGE) ?: 0)
    }

    override fun onSaveInstanceState(state: Bundle) {
        super.onSaveInstanceState(state)
        state.putInt(PAGE, page)
        // For the case that the system ends the process meanwhile. It takes some hundred kilobytes, no hours of text.
        val captions = app.captions.state.value
        state.putString(TEXT, captions.finalText.takeLast(MOST_TEXT))
        state.putBoolean(INTERRUPTED, captions.interrupted || captions.phase != CaptionsPhase.Idle)
    }

    override fun onStop() {
        // In the background the system gives silence. Turning the device is something else.
        if (!isChangingConfigurations) app.captions.interrupt()
        super.onStop()
    }

    /** Starts captions, after asking for the microphone where that is needed. */
    fun startCaptions() {
        if (checkSelfPermission(Manifest.permission.RECORD_AUDIO) == PackageManager.PERMISSION_GRANTED) {
            app.captions.start()
        } else {
            requestPermissions(arrayOf(Manifest.permission.RECORD_AUDIO), MICROPHONE)
        }
    }

    override fun onRequestPermissionsResult(request: Int, permissions: Array<out String>, results: IntArray) {
        if (request != MICROPHONE) return
        val granted = results.firstOrNull() == PackageManager.PERMISSION_GRANTED
        if (granted) app.captions.start()
        val refused = getString(R.string.captions_refused).takeUnless { granted }
        findViewById<TextView>(R.id.captions_problem)!!.showOrHide(refused)
    }

    /** Lets the user pick a recording. */
    @Suppress("DEPRECATION") // What replaces it is in a library; this sample is of the framework alone.
    fun chooseRecording() {
        val intent = Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE).setType("audio/*")
        startActivityForResult(intent, RECORDING)
    }

    @Deprecated("See chooseRecording.")
    override fun onActivityResult(request: Int, result: Int, data: Intent?) {
        val uri = data?.data ?: return
        if (request == RECORDING && result == RESULT_OK) app.recording.transcribe(AndroidAudio.content(this, uri))
    }

    /** Lets the user share the subtitles with another app. */
    fun shareSubtitles() {
        val subtitles = SharedText("subtitles.srt", "application/x-subrip", app.recording.subtitles())
        startActivity(Intent.createChooser(SharedFiles.send(this, listOf(subtitles)), null))
    }

    private fun show(chosen: Int) {
        page = chosen
        PAGES.forEachIndexed { index, (tab, content) ->
            findViewById<View>(content)!!.isShown(index == chosen)
            // TalkBack says which one is selected; the eye sees it in bold.
            findViewById<Button>(tab)!!.run {
                isSelected = index == chosen
                typeface = if (isSelected) Typeface.DEFAULT_BOLD else Typeface.DEFAULT
            }
        }
    }

    private companion object {
        const val MICROPHONE = 1
        const val RECORDING = 2
        const val PAGE = "page"
        const val TEXT = "text"
        const val INTERRUPTED = "interrupted"
        const val MOST_TEXT = 50_000
        val PAGES = listOf(
            R.id.tab_captions to R.id.page_captions,
            R.id.tab_recording to R.id.page_recording,
            R.id.tab_models to R.id.page_models,
        )
    }
}

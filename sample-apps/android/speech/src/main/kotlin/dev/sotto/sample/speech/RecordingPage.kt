package dev.sotto.sample.speech

import android.widget.Button
import android.widget.ProgressBar
import android.widget.TextView
import dev.sotto.sample.ui.isShown
import dev.sotto.sample.ui.messageOf
import dev.sotto.sample.ui.showOrHide

/** A recording becomes text while a bar says how far it is; then it can be shared as subtitles. */
fun recordingPage(activity: SpeechActivity) {
    val recording = activity.app.recording
    val text = activity.findViewById<TextView>(R.id.recording_text)!!
    val problem = activity.findViewById<TextView>(R.id.recording_problem)!!
    val progress = activity.findViewById<ProgressBar>(R.id.recording_progress)!!
    val choose = activity.findViewById<Button>(R.id.recording_choose)!!
    val stop = activity.findViewById<Button>(R.id.recording_stop)!!
    val share = activity.findViewById<Button>(R.id.recording_share)!!

    progress.max = 1000
    choose.setOnClickListener { activity.chooseRecording() }
    stop.setOnClickListener { recording.stop() }
    share.setOnClickListener { activity.shareSubtitles() }
    activity.draw(recording.state) { state ->
        val lines = state.segments.joinToString("\n") { it.text.trim() }
        val empty = lines.isEmpty() && !state.working && state.problem == null
        text.text = if (empty) activity.getString(R.string.recording_empty) else lines
        problem.showOrHide(state.problem?.let { activity.messageOf(it) })
        progress.isShown(state.working)
        progress.isIndeterminate = state.part == null
        progress.progress = ((state.part ?: 0.0) * progress.max).toInt()
        stop.isShown(state.working)
        choose.isShown(!state.working)
        share.isShown(!state.working && state.segments.isNotEmpty())
    }
}

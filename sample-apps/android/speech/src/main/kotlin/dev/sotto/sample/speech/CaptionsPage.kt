package dev.sotto.sample.speech

import android.text.SpannableStringBuilder
import android.text.Spanned
import android.text.style.ForegroundColorSpan
import android.widget.Button
import android.widget.ScrollView
import android.widget.TextView
import dev.sotto.sample.ui.messageOf
import dev.sotto.sample.ui.showOrHide

/** Live captions: final text in the colour of text, what may still change behind it in grey. */
fun captionsPage(activity: SpeechActivity) {
    val captions = activity.app.captions
    val text = activity.findViewById<TextView>(R.id.captions_text)!!
    val scroll = activity.findViewById<ScrollView>(R.id.captions_scroll)!!
    val status = activity.findViewById<TextView>(R.id.captions_status)!!
    val problem = activity.findViewById<TextView>(R.id.captions_problem)!!
    val toggle = activity.findViewById<Button>(R.id.captions_toggle)!!
    val grey = status.currentTextColor

    toggle.setOnClickListener {
        if (captions.state.value.phase == CaptionsPhase.Idle) activity.startCaptions() else captions.stop()
    }
    activity.draw(captions.state) { state ->
        text.text = coloured(state, grey)
        scroll.post { scroll.fullScroll(ScrollView.FOCUS_DOWN) }
        problem.showOrHide(state.problem?.let { activity.messageOf(it) })
        val running = state.phase != CaptionsPhase.Idle
        val (label, hint) = when {
            running -> R.string.stop to R.string.captions_stop_hint
            state.interrupted -> R.string.captions_go_on to R.string.captions_go_on_hint
            else -> R.string.start to R.string.captions_start_hint
        }
        toggle.setText(label)
        toggle.contentDescription = activity.getString(hint)
        val told = when (state.phase) {
            CaptionsPhase.Idle if state.interrupted -> R.string.captions_interrupted
            CaptionsPhase.Idle -> R.string.captions_empty.takeIf { state.finalText.isEmpty() }
            CaptionsPhase.Loading -> R.string.captions_loading
            CaptionsPhase.Listening, CaptionsPhase.Finishing -> R.string.captions_listening
        }
        // A live region: the same text again would be spoken again.
        val words = told?.let { activity.getString(it) }.orEmpty()
        if (status.text.toString() != words) status.showOrHide(words)
    }
}

private fun coloured(state: CaptionsState, grey: Int): CharSequence {
    val text = SpannableStringBuilder(state.finalText.trimStart())
    val start = text.length
    text.append(if (start == 0) state.volatileText.trimStart() else state.volatileText)
    text.setSpan(ForegroundColorSpan(grey), start, text.length, Spanned.SPAN_EXCLUSIVE_EXCLUSIVE)
    return text
}

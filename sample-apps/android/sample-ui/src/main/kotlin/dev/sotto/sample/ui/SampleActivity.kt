package dev.sotto.sample.ui

import android.app.Activity
import android.view.View
import android.widget.TextView
import kotlinx.coroutines.MainScope
import kotlinx.coroutines.cancel
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.launch

/** An activity that draws what flows tell, for as long as it is there. */
abstract class SampleActivity : Activity() {
    private val drawing = MainScope()

    /** Draws every value of [states] on the main thread, until the activity goes. */
    fun <T> draw(states: Flow<T>, draw: (T) -> Unit) {
        drawing.launch { states.collect { draw(it) } }
    }

    override fun onDestroy() {
        drawing.cancel()
        super.onDestroy()
    }
}

/** Shows a text; takes no room without one. */
fun TextView.showOrHide(text: CharSequence?) {
    this.text = text
    isShown(!text.isNullOrEmpty())
}

/** Whether a view is there. */
fun View.isShown(shown: Boolean) {
    visibility = if (shown) View.VISIBLE else View.GONE
}


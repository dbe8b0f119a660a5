package dev.sotto.sample.ui

import android.app.Activity
import android.graphics.Bitmap
import android.graphics.Canvas
import android.os.Bundle
import android.os.Looper
import android.os.Parcel
import android.view.View
import android.view.ViewGroup
import android.widget.Button
import android.widget.ProgressBar
import android.widget.ScrollView
import android.widget.TextView
import org.robolectric.Robolectric
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import java.io.File
import kotlin.test.assertEquals
import kotlin.test.assertTrue
import kotlin.test.fail

/** How a device is set up: what Android's resource qualifiers say, and how large its text is. */
enum class Variant(val qualifiers: String, val fontScale: Float = 1f) {
    Light("en-w360dp-h640dp-notnight-xhdpi"),
    Dark("en-w360dp-h640dp-night-xhdpi"),
    German("de-w360dp-h640dp-notnight-xhdpi"),
    LargeText("de-w360dp-h640dp-notnight-xhdpi", fontScale = 2f),
    RightToLeft("ar-rEG-ldrtl-w360dp-h640dp-notnight-xhdpi"),
    ;

    /** Sets the device up so; before an activity is made. */
    fun apply() {
        RuntimeEnvironment.setQualifiers(qualifiers)
        RuntimeEnvironment.setFontScale(fontScale)
    }
}

/** An activity as a user sees it. */
class Screen<A : Activity>(kind: Class<A>) {
    private var controller = Robolectric.buildActivity(kind).setup()
    val activity: A get() = controller.get()

    inline fun <reified T : View> find(id: Int): T = activity.findViewById<View>(id) as T

    fun text(id: Int): String = find<TextView>(id).text.toString()

    fun isShown(id: Int): Boolean = find<View>(id).isShown

    /** Presses a button that is there. */
    fun press(id: Int) {
        val button = find<Button>(id)
        assertTrue(button.isShown && button.isEnabled, "${button.text} cannot be pressed")
        button.performClick()
        idle()
    }

    /** Lets the app work until something is so. */
    fun waitFor(what: String, condition: () -> Boolean) {
        repeat(ROUNDS) {
            idle()
            if (condition()) return
            Thread.sleep(5)
        }
        val texts = activity.window.decorView.family().filter { it.isShown }.mapNotNull { (it as? TextView)?.text }
        fail("waited for nothing: $what; the screen says ${texts.joinToString(" | ")}")
    }

    /** Turns the device, or changes whatever else makes the activity anew. */
    fun recreate() {
        controller.recreate()
        idle()
    }

    /**
     * The system ends the app in the background, and starts it again when the user comes back: with what the activity
     * had saved, and nothing else. [forget] throws away what the process had in memory.
     */
    fun endProcess(kind: Class<A>, forget: () -> Unit) {
        val saved = Bundle()
        controller.pause().stop().saveInstanceState(saved).destroy()
        idle()
        forget()
        controller = Robolectric.buildActivity(kind).setup(throughParcel(saved))
        idle()
    }

    // As it comes back from the system.
    private fun throughParcel(bundle: Bundle): Bundle {
        val parcel = Parcel.obtain()
        try {
            bundle.writeToParcel(parcel, 0)
            parcel.setDataPosition(0)
            return Bundle(javaClass.classLoader).apply { readFromParcel(parcel) }
        } finally {
            parcel.recycle()
        }
    }

    fun leave() {
        controller.pause().stop()
        idle()
    }

    /** What a finger, a screen reader and an eye need, of all that is shown. */
    fun check(where: String) {
        idle()
        val root = activity.window.decorView
        for (view in root.family().filter { it.isShown }) {
            val name = "$where: ${view.javaClass.simpleName} `${(view as? TextView)?.text ?: view.contentDescription}`"
            if (view is Button) {
                val least = (48 * activity.resources.displayMetrics.density).toInt()
                val isLarge = view.width >= least && view.height >= least
                assertTrue(isLarge, "$name is ${view.width} x ${view.height}, not 48 dp")
            }
            if (view is Button || view is ProgressBar) assertTrue(label(view).isNotBlank(), "$name has no label")
            if (view is TextView) assertEquals(null, cut(view), name)
            assertTrue(isInside(view, root), "$name sticks out")
        }
    }

    /** Draws the screen into a file, for people to look at. */
    fun picture(name: String) {
        idle()
        val view = activity.window.decorView
        val bitmap = Bitmap.createBitmap(view.width, view.height, Bitmap.Config.ARGB_8888)
        view.draw(Canvas(bitmap))
        val folder = File(System.getProperty("sotto.screenshots")).apply { mkdirs() }
        folder.resolve("$name.png").outputStream().use { bitmap.compress(Bitmap.CompressFormat.PNG, 100, it) }
    }

    private fun idle() = shadowOf(Looper.getMainLooper()).idle()

    private fun label(view: View): CharSequence = view.contentDescription ?: (view as? TextView)?.text ?: ""

    /** What is lost of a text, if anything. */
    private fun cut(view: TextView): String? {
        val layout = view.layout ?: return null
        val text = view.text
        for (line in 0 until layout.lineCount) {
            if (layout.getEllipsisCount(line) > 0) return "ends in dots"
            val end = layout.getLineEnd(line)
            if (end < text.length && text[end - 1].isLetter() && text[end].isLetter()) return "breaks inside a word"
        }
        val room = view.height - view.compoundPaddingTop - view.compoundPaddingBottom
        return if (layout.height > room) "is ${layout.height} high in $room" else null
    }

    private fun isInside(view: View, root: View): Boolean {
        val place = IntArray(2)
        view.getLocationInWindow(place)
        val scrolls = generateSequence(view.parent) { it.parent }.any { it is ScrollView }
        return place[0] >= 0 && place[0] + view.width <= root.width &&
            (scrolls || place[1] >= 0 && place[1] + view.height <= root.height)
    }

    private fun View.family(): Sequence<View> = sequence {
        yield(this@family)
        val group = this@family as? ViewGroup ?: return@sequence
        for (index in 0 until group.childCount) yieldAll(group.getChildAt(index).family())
    }

    private companion object {
        // A minute at least: it only ends tests that would never end.
        const val ROUNDS = 12_000
    }
}

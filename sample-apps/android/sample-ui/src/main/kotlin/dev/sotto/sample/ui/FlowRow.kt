package dev.sotto.sample.ui

import android.content.Context
import android.util.AttributeSet
import android.view.View
import android.view.ViewGroup

/**
 * Views in a row that goes on in the next line when the screen is too narrow, so that large text and long languages cut
 * no button. Begins on the right where the language does.
 */
class FlowRow @JvmOverloads constructor(
    context: Context,
    attributes: AttributeSet? = null,
) : ViewGroup(context, attributes) {
    private val gap = (8 * resources.displayMetrics.density).toInt()

    private val shown: List<View>
        get() = (0 until childCount).map { getChildAt(it) }.filter { it.visibility != GONE }

    /** Calls [place] with every view and its place, from the side where the language begins. Gives the height. */
    private fun lines(width: Int, place: (View, Int, Int) -> Unit): Int {
        var (x, y, height) = Triple(0, 0, 0)
        for (view in shown) {
            if (x > 0 && x + view.measuredWidth > width) {
                x = 0
                y += height + gap
                height = 0
            }
            place(view, x, y)
            x += view.measuredWidth + gap
            height = maxOf(height, view.measuredHeight)
        }
        return y + height
    }

    override fun onMeasure(widthSpec: Int, heightSpec: Int) {
        val width = MeasureSpec.getSize(widthSpec)
        val inner = width - paddingStart - paddingEnd
        for (view in shown) {
            view.measure(MeasureSpec.makeMeasureSpec(inner, MeasureSpec.AT_MOST), MeasureSpec.UNSPECIFIED)
        }
        val height = lines(inner) { _, _, _ -> } + paddingTop + paddingBottom
        setMeasuredDimension(width, resolveSize(height, heightSpec))
    }

    override fun onLayout(changed: Boolean, left: Int, top: Int, right: Int, bottom: Int) {
        lines(width - paddingStart - paddingEnd) { view, x, y ->
            val fromStart = paddingStart + x
            val mirrored = layoutDirection == LAYOUT_DIRECTION_RTL
            val start = if (mirrored) width - fromStart - view.measuredWidth else fromStart
            view.layout(start, paddingTop + y, start + view.measuredWidth, paddingTop + y + view.measuredHeight)
        }
    }
}

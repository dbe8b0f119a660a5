package dev.sotto.sample.profiler

import android.content.Intent
import android.os.Bundle
import android.webkit.WebView
import android.widget.Button
import android.widget.ProgressBar
import android.widget.TextView
import dev.sotto.ProfileReport
import dev.sotto.ProfileValidity
import dev.sotto.sample.ui.SampleActivity
import dev.sotto.sample.ui.SharedFiles
import dev.sotto.sample.ui.SharedText
import dev.sotto.sample.ui.isShown
import dev.sotto.sample.ui.messageOf
import dev.sotto.sample.ui.showOrHide

/** Starts a measurement, shows how far it is, says what it is worth and why, draws its plots, and shares it. */
class ProfilerActivity : SampleActivity() {
    private val profiler: Profiler get() = (application as ProfilerApp).profiler

    /** The report whose plots are drawn already. */
    private var drawn: ProfileReport? = null

    override fun onCreate(saved: Bundle?) {
        super.onCreate(saved)
        setContentView(R.layout.activity_profiler)
        findViewById<Button>(R.id.start)!!.setOnClickListener { profiler.start() }
        findViewById<Button>(R.id.end_early)!!.setOnClickListener { profiler.endEarly() }
        findViewById<Button>(R.id.stop)!!.setOnClickListener { profiler.stop() }
        findViewById<Button>(R.id.export)!!.setOnClickListener { profiler.state.value.report?.let(::export) }
        draw(profiler.state, ::show)
    }

    private fun show(state: ProfilerState) {
        findViewById<Button>(R.id.start)!!.isShown(!state.working)
        findViewById<Button>(R.id.end_early)!!.isShown(state.working)
        findViewById<Button>(R.id.stop)!!.isShown(state.working)
        findViewById<Button>(R.id.export)!!.isShown(state.report != null)
        findViewById<ProgressBar>(R.id.progress)!!.run {
            isShown(state.working)
            max = 1000
            progress = (state.part * max).toInt()
        }
        findViewById<TextView>(R.id.problem)!!.showOrHide(state.problem?.let { messageOf(it) })
        findViewById<TextView>(R.id.verdict)!!.showOrHide(state.report?.let { getString(verdict(it)) })
        val told = when {
            state.report != null -> state.report.reasons.joinToString("\n")
            state.working -> getString(R.string.working)
            else -> getString(R.string.explained)
        }
        // A live region: the same text again would be spoken again.
        findViewById<TextView>(R.id.told)!!.run { if (text.toString() != told) text = told }
        showPlots(state.report)
    }

    private fun showPlots(report: ProfileReport?) {
        if (report == drawn) return
        drawn = report
        val plots = findViewById<WebView>(R.id.plots)!!
        plots.isShown(report != null)
        report?.let { plots.loadDataWithBaseURL(null, it.page(), "text/html", "utf-8", null) }
    }

    private fun verdict(report: ProfileReport): Int = when (report.validity) {
        ProfileValidity.Valid -> R.string.valid
        ProfileValidity.Semivalid -> R.string.semivalid
        ProfileValidity.Invalid -> R.string.invalid
    }

    private fun export(report: ProfileReport) {
        val files = listOf(
            SharedText("profile.json", "application/json", report.json),
            SharedText("profile.html", "text/html", report.page()),
        )
        startActivity(Intent.createChooser(SharedFiles.send(this, files), null))
    }
}

package dev.sotto.sample.speech

import android.text.format.Formatter
import android.view.View
import android.view.ViewGroup
import android.widget.Button
import android.widget.ProgressBar
import android.widget.RadioButton
import android.widget.TextView
import dev.sotto.ModelState
import dev.sotto.StoredModel
import dev.sotto.sample.ui.isShown
import dev.sotto.sample.ui.messageOf
import dev.sotto.sample.ui.showOrHide
import kotlinx.coroutines.flow.distinctUntilChanged
import kotlinx.coroutines.flow.map

/** Which models are here, how large they are, which one is used; and which can be fetched, with progress. */
fun modelsPage(activity: SpeechActivity) {
    val models = activity.app.models
    val here = activity.findViewById<ViewGroup>(R.id.models_here)!!
    val offered = activity.findViewById<ViewGroup>(R.id.models_offered)!!
    val problem = activity.findViewById<TextView>(R.id.models_problem)!!

    models.refresh()
    // Built again only when the list changes: progress must not take the focus of a screen reader away.
    var chosenRow: View? = null
    activity.draw(models.state.map { it.here to it.chosen }.distinctUntilChanged()) { (stored, chosen) ->
        here.removeAllViews()
        for (model in listOf(null) + stored.filter { it.active }) {
            val row = modelRow(activity, here, model, model?.name == chosen).also { here.addView(it) }
            if (model?.name == chosen) chosenRow = row
        }
        chosenRow?.let { loadedRow(activity, it, models.state.value) }
    }
    val offers = Models.OFFERS.map { offer ->
        offer to activity.layoutInflater.inflate(R.layout.row_offer, offered, false).also { offered.addView(it) }
    }
    activity.draw(models.state) { state ->
        problem.showOrHide(state.problem?.let { activity.messageOf(it) })
        for ((offer, row) in offers) offerRow(activity, row, offer, state)
        chosenRow?.let { loadedRow(activity, it, state) }
    }
}

private fun modelRow(activity: SpeechActivity, parent: ViewGroup, model: StoredModel?, isChosen: Boolean): View {
    val row = activity.layoutInflater.inflate(R.layout.row_model, parent, false)
    val name = model?.name ?: activity.getString(R.string.models_starter)
    val size = model?.bytes?.let { Formatter.formatFileSize(activity, it) }
    row.findViewById<RadioButton>(R.id.model_choose)!!.run {
        val problem = model?.problems?.firstOrNull()?.let { activity.getString(R.string.models_damaged) }
        text = listOfNotNull(name, size, problem).joinToString("\n")
        isChecked = isChosen
        isEnabled = model == null || model.problems.isEmpty()
        setOnClickListener { activity.app.models.choose(model?.name) }
    }
    row.findViewById<Button>(R.id.model_remove)!!.run {
        isShown(model != null)
        contentDescription = activity.getString(R.string.models_remove_hint, name)
        setOnClickListener { model?.let { activity.app.models.remove(it) } }
    }
    return row
}

/** Whether the chosen model is loaded. */
private fun loadedRow(activity: SpeechActivity, row: View, state: ModelsState) {
    val words = when (val loaded = state.loaded) {
        ModelState.NotLoaded -> activity.getString(R.string.models_not_loaded)
        is ModelState.Loading -> {
            val percent = ((loaded.progress?.fraction ?: 0.0) * 100).toInt()
            activity.getString(R.string.models_loading, percent)
        }
        ModelState.Ready -> activity.getString(R.string.models_ready)
        ModelState.Unloaded -> activity.getString(R.string.models_unloaded)
        is ModelState.Failed -> activity.messageOf(loaded.problem)
    }
    row.findViewById<TextView>(R.id.model_state)!!.showOrHide(words)
}

private fun offerRow(activity: SpeechActivity, row: View, offer: Offer, state: ModelsState) {
    val models = activity.app.models
    val isFetching = offer.name in state.fetching
    val progress = state.fetching[offer.name]
    row.isShown(state.here.none { it.name == offer.name })
    row.findViewById<TextView>(R.id.offer_title)!!.text = offer.title
    val all = Formatter.formatFileSize(activity, progress?.total ?: offer.bytes)
    row.findViewById<TextView>(R.id.offer_size)!!.text =
        if (progress == null) all else {
            activity.getString(R.string.models_of, Formatter.formatFileSize(activity, progress.done), all)
        }
    row.findViewById<ProgressBar>(R.id.offer_progress)!!.run {
        isShown(isFetching)
        max = 1000
        isIndeterminate = progress?.fraction == null
        setProgress(((progress?.fraction ?: 0.0) * max).toInt())
        contentDescription = activity.getString(R.string.models_progress, offer.title)
    }
    row.findViewById<Button>(R.id.offer_button)!!.run {
        setText(if (isFetching) R.string.stop else R.string.models_fetch)
        val hint = if (isFetching) R.string.models_stop_hint else R.string.models_fetch_hint
        contentDescription = activity.getString(hint, offer.title)
        setOnClickListener {
            if (offer.name in models.state.value.fetching) models.stop(offer) else models.fetch(offer)
        }
    }
}

package androidx.test.internal.runner.intent;

import android.content.Intent;
import androidx.test.runner.intent.IntentMonitor;

/** Hears of intents and forgets them. */
public final class IntentMonitorImpl implements IntentMonitor {
    public void signalIntent(Intent intent) {
    }
}

package androidx.test.runner.intent;

/** Marks who hears of intents. */
public interface IntentMonitor {
}

package androidx.test.runner.intent;

/** Takes the one monitor. */
public final class IntentMonitorRegistry {
    private IntentMonitorRegistry() {
    }

    public static void registerInstance(IntentMonitor monitor) {
    }
}

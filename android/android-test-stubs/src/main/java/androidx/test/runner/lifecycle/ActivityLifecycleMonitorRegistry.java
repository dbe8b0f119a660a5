package androidx.test.runner.lifecycle;

/** Holds the one monitor. */
public final class ActivityLifecycleMonitorRegistry {
    private static volatile ActivityLifecycleMonitor monitor;

    private ActivityLifecycleMonitorRegistry() {
    }

    public static ActivityLifecycleMonitor getInstance() {
        return monitor;
    }

    public static void registerInstance(ActivityLifecycleMonitor instance) {
        monitor = instance;
    }
}

package androidx.test.runner.lifecycle;

/** Holds the one monitor. */
public final class ApplicationLifecycleMonitorRegistry {
    private static volatile ApplicationLifecycleMonitor monitor;

    private ApplicationLifecycleMonitorRegistry() {
    }

    public static ApplicationLifecycleMonitor getInstance() {
        return monitor;
    }

    public static void registerInstance(ApplicationLifecycleMonitor instance) {
        monitor = instance;
    }
}

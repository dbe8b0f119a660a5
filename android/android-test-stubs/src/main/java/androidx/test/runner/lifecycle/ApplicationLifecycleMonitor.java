package androidx.test.runner.lifecycle;

/** Marks who hears of applications. */
public interface ApplicationLifecycleMonitor {
}

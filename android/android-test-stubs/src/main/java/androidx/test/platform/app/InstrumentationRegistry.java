package androidx.test.platform.app;

import android.app.Instrumentation;
import android.os.Bundle;

/** Holds the one instrumentation. */
public final class InstrumentationRegistry {
    private static volatile Instrumentation instrumentation;
    private static volatile Bundle arguments;

    private InstrumentationRegistry() {
    }

    public static Instrumentation getInstrumentation() {
        return instrumentation;
    }

    public static Bundle getArguments() {
        return new Bundle(arguments);
    }

    public static void registerInstance(Instrumentation instance, Bundle given) {
        instrumentation = instance;
        arguments = given;
    }
}

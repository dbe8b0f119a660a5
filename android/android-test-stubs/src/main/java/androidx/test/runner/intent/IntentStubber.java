package androidx.test.runner.intent;

import android.app.Instrumentation.ActivityResult;
import android.content.Intent;

/** Answers for activities of other apps. */
public interface IntentStubber {
    ActivityResult getActivityResultForIntent(Intent intent);
}

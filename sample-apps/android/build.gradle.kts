plugins {
    // All in one class loader, each applied where it is needed.
    id("com.android.application") version libs.versions.agp apply false
    alias(libs.plugins.android.library) apply false
}

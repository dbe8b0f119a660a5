// The build for users' machines. On a machine without an Android SDK the same sources are compiled and tested by Maven
// (pom.xml).
pluginManagement {
    repositories {
        google()
        mavenCentral()
        gradlePluginPortal()
    }
}

dependencyResolutionManagement {
    repositoriesMode = RepositoriesMode.FAIL_ON_PROJECT_REPOS
    repositories {
        google()
        mavenCentral()
    }
    versionCatalogs {
        create("libs") { from(files("../../android/gradle/libs.versions.toml")) }
    }
}

rootProject.name = "sotto-samples"

// The packages as they are in this repository. An app of yours leaves this out and takes published ones.
includeBuild("../../android")

include(":sample-ui", ":speech", ":profiler")

// The build for users' machines: AAR and JARs, as they are published. On a machine without an Android SDK the same
// sources are compiled and tested by Maven (pom.xml).
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
}

rootProject.name = "sotto"

include(":sotto-bindings", ":sotto-kotlin", ":sotto-starter", ":sotto-android")

plugins {
    // All in one class loader, each applied where it is needed.
    alias(libs.plugins.android.library) apply false
    alias(libs.plugins.kotlin.jvm) apply false
    alias(libs.plugins.dokka) apply false
    alias(libs.plugins.dokka.javadoc) apply false
}

allprojects {
    group = "dev.sotto"
    version = providers.gradleProperty("sotto.version").get()
}

// What every published artefact says of itself.
subprojects {
    plugins.withId("maven-publish") {
        extensions.configure<PublishingExtension> {
            publications.withType<MavenPublication>().configureEach {
                pom {
                    name = "Sotto: ${project.name}"
                    description = "Speech-to-text on the device. Nothing that a user says leaves it."
                    licenses {
                        license {
                            name = "MIT"
                            url = "https://opensource.org/license/mit"
                        }
                        license {
                            name = "Apache-2.0"
                            url = "https://www.apache.org/licenses/LICENSE-2.0"
                        }
                    }
                }
            }
            repositories {
                // ./gradlew publish, then `cargo xtask release` takes it from there.
                maven {
                    name = "staging"
                    url = uri(rootProject.layout.buildDirectory.dir("staging"))
                }
            }
        }
    }
}

import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.kotlin.jvm)
    alias(libs.plugins.dokka)
    alias(libs.plugins.dokka.javadoc)
    `maven-publish`
}

kotlin {
    explicitApi()
    compilerOptions {
        jvmTarget = JvmTarget.JVM_11
        allWarningsAsErrors = true
    }
    sourceSets.test {
        // The samples of the documentation: compiled, and run by SamplesTest.
        kotlin.srcDir("src/samples/kotlin")
    }
}

java {
    withSourcesJar()
    sourceCompatibility = JavaVersion.VERSION_11
    targetCompatibility = JavaVersion.VERSION_11
}

dependencies {
    implementation(project(":sotto-bindings"))
    api(libs.coroutines.core)
    compileOnly(libs.jna)

    testImplementation(libs.jna)
    testImplementation(libs.coroutines.test)
    testImplementation(libs.kotlin.test)
    testImplementation(libs.serialization.json)
    testImplementation(libs.jflac)
    testImplementation(libs.junit)
    testImplementation(project(":sotto-starter", configuration = "starterResources"))
    testRuntimeOnly(libs.junit.launcher)
}

dokka {
    dokkaSourceSets.main {
        samples.from("src/samples/kotlin")
        includes.from("module.md")
    }
}

val documentation = tasks.register<Jar>("documentationJar") {
    archiveClassifier = "javadoc"
    from(tasks.dokkaGeneratePublicationJavadoc)
}

val workspaceRoot = layout.projectDirectory.dir("../..")
tasks.test {
    useJUnitPlatform()
    // cargo build -p sotto-ffi
    systemProperty("jna.library.path", workspaceRoot.dir("target/debug").asFile.path)
    systemProperty("sotto.root", workspaceRoot.asFile.path)
    jvmArgs("--add-opens", "java.base/java.io=ALL-UNNAMED")
}

publishing {
    publications.register<MavenPublication>("jvm") {
        from(components["java"])
        artifact(documentation)
    }
}

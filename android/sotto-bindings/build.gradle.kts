import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.kotlin.jvm)
    `maven-publish`
}

/**
 * Generates the Kotlin side of the native library: `cargo xtask bindings`. Its inputs are files, so nothing of the
 * project is kept.
 */
@CacheableTask
abstract class GenerateBindings @Inject constructor(private val operations: ExecOperations) : DefaultTask() {
    @get:InputFiles
    @get:PathSensitive(PathSensitivity.RELATIVE)
    abstract val rustSources: ConfigurableFileCollection

    @get:Internal
    abstract val workspace: DirectoryProperty

    @get:OutputDirectory
    abstract val bindings: DirectoryProperty

    @TaskAction
    fun generate() {
        operations.exec {
            workingDir(workspace)
            commandLine("cargo", "xtask", "bindings", "kotlin", "--out", bindings.get().asFile.path)
        }
    }
}

val workspaceRoot = layout.projectDirectory.dir("../..")
val generateBindings = tasks.register<GenerateBindings>("generateBindings") {
    workspace = workspaceRoot
    rustSources.from(workspaceRoot.dir("bindings/ffi"), workspaceRoot.file("Cargo.lock"))
    bindings = layout.buildDirectory.dir("generated/uniffi")
}

kotlin {
    compilerOptions {
        jvmTarget = JvmTarget.JVM_11
        // Generated code: warnings are UniFFI's.
        suppressWarnings = true
    }
    sourceSets.main {
        kotlin.srcDir(generateBindings)
    }
}

java {
    withSourcesJar()
    sourceCompatibility = JavaVersion.VERSION_11
    targetCompatibility = JavaVersion.VERSION_11
}

dependencies {
    implementation(libs.coroutines.core)
    // On the desk. Android apps get the AAR of the same version through sotto-android.
    compileOnly(libs.jna)
}

publishing {
    publications.register<MavenPublication>("jvm") { from(components["java"]) }
}

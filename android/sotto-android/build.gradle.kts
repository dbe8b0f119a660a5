plugins {
    alias(libs.plugins.android.library)
    alias(libs.plugins.dokka)
    `maven-publish`
}

/**
 * Builds the native library for every ABI: `cargo xtask android`, which needs cargo-ndk and an NDK. Its inputs are
 * files, so that the configuration cache can keep it.
 */
@CacheableTask
abstract class BuildNative @Inject constructor(private val operations: ExecOperations) : DefaultTask() {
    @get:InputFiles
    @get:PathSensitive(PathSensitivity.RELATIVE)
    abstract val rustSources: ConfigurableFileCollection

    @get:Internal
    abstract val workspace: DirectoryProperty

    @get:OutputDirectory
    abstract val jniLibs: DirectoryProperty

    @TaskAction
    fun build() {
        operations.exec {
            workingDir(workspace)
            commandLine("cargo", "xtask", "android", "--out", jniLibs.get().asFile.path)
        }
    }
}

val workspaceRoot = layout.projectDirectory.dir("../..")
val buildNative = tasks.register<BuildNative>("buildNative") {
    workspace = workspaceRoot
    rustSources.from(
        fileTree(workspaceRoot.dir("core")) { include("**/*.rs", "**/Cargo.toml", "starter/models/vad/**") },
        fileTree(workspaceRoot.dir("bindings/ffi")),
        workspaceRoot.file("Cargo.toml"),
        workspaceRoot.file("Cargo.lock"),
        workspaceRoot.file("rust-toolchain.toml"),
    )
    jniLibs = layout.buildDirectory.dir("generated/jniLibs")
}

android {
    namespace = "dev.sotto.android"
    compileSdk = libs.versions.androidCompileSdk.get().toInt()
    defaultConfig {
        minSdk = libs.versions.androidMinSdk.get().toInt()
        // Kept once: the same rules lie in the JAR of the bindings, for builds without the Android plugin.
        consumerProguardFiles("../sotto-bindings/src/main/resources/META-INF/proguard/sotto.pro")
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_11
        targetCompatibility = JavaVersion.VERSION_11
    }
    packaging {
        // Stripped by cargo already; its symbols are published apart.
        jniLibs.keepDebugSymbols += "**/libsotto_ffi.so"
    }
    publishing {
        singleVariant("release") {
            withSourcesJar()
            withJavadocJar()
        }
    }
}

kotlin {
    explicitApi()
    compilerOptions {
        allWarningsAsErrors = true
    }
}

androidComponents {
    onVariants { variant ->
        variant.sources.jniLibs?.addGeneratedSourceDirectory(buildNative, BuildNative::jniLibs)
    }
}

dependencies {
    api(project(":sotto-kotlin"))
    // With its own libjnidispatch.so for every ABI; the JAR of the same name must not come with it.
    implementation("${libs.jna.get()}@aar")
}

publishing {
    publications.register<MavenPublication>("release") {
        afterEvaluate { from(components["release"]) }
    }
}

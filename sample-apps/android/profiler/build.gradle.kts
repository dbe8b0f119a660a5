plugins {
    id("com.android.application")
}

// The recording that is measured with: committed once, in core/starter.
@CacheableTask
abstract class CopyRecording @Inject constructor(private val files: FileSystemOperations) : DefaultTask() {
    @get:InputFile
    @get:PathSensitive(PathSensitivity.NAME_ONLY)
    abstract val recording: RegularFileProperty

    @get:OutputDirectory
    abstract val assets: DirectoryProperty

    @TaskAction
    fun copy() {
        files.sync {
            from(recording)
            into(assets)
        }
    }
}

val copyRecording = tasks.register<CopyRecording>("copyRecording") {
    recording = layout.projectDirectory.file("../../../core/starter/audio/demo.flac")
    assets = layout.buildDirectory.dir("generated/recording")
}

androidComponents {
    onVariants { variant ->
        variant.sources.assets?.addGeneratedSourceDirectory(copyRecording, CopyRecording::assets)
    }
}

android {
    namespace = "dev.sotto.sample.profiler"
    compileSdk = libs.versions.androidCompileSdk.get().toInt()
    defaultConfig {
        applicationId = "dev.sotto.sample.profiler"
        minSdk = libs.versions.androidMinSdk.get().toInt()
        targetSdk = 35
        versionCode = 1
        versionName = "0.1.0"
    }
    buildTypes {
        release {
            isMinifyEnabled = true
            proguardFiles(getDefaultProguardFile("proguard-android-optimize.txt"))
            // So that the sample can be installed as it is; an app of yours has a key of its own.
            signingConfig = signingConfigs.getByName("debug")
        }
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_11
        targetCompatibility = JavaVersion.VERSION_11
    }
    androidResources {
        // Mapped where they lie in the package.
        noCompress += listOf("sotto", "flac")
    }
}

dependencies {
    implementation(project(":sample-ui"))
    implementation("dev.sotto:sotto-starter")
}

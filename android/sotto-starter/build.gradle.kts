plugins {
    alias(libs.plugins.android.library)
    `maven-publish`
}

// The model is committed once, in core/starter: copied here when this is built, as an asset that apps map from their
// package.
val workspaceRoot = layout.projectDirectory.dir("../..")

@CacheableTask
abstract class CopyModel @Inject constructor(private val files: FileSystemOperations) : DefaultTask() {
    @get:InputFiles
    @get:PathSensitive(PathSensitivity.NAME_ONLY)
    abstract val model: ConfigurableFileCollection

    @get:OutputDirectory
    abstract val assets: DirectoryProperty

    @TaskAction
    fun copy() {
        files.sync {
            from(model)
            into(assets.dir("sotto"))
        }
    }
}

val copyModel = tasks.register<CopyModel>("copyModel") {
    model.from(
        workspaceRoot.file("core/starter/models/speech/starter.en.sotto"),
        workspaceRoot.file("core/starter/models/speech/README.md"),
    )
    assets = layout.buildDirectory.dir("generated/starter")
}

android {
    namespace = "dev.sotto.starter"
    compileSdk = libs.versions.androidCompileSdk.get().toInt()
    defaultConfig {
        minSdk = libs.versions.androidMinSdk.get().toInt()
    }
    androidResources {
        noCompress += "sotto"
    }
    publishing {
        singleVariant("release") { withSourcesJar() }
    }
}

androidComponents {
    onVariants { variant ->
        variant.sources.assets?.addGeneratedSourceDirectory(copyModel, CopyModel::assets)
    }
}

// The same file as a resource, for tests on the desk.
val starterResources = configurations.consumable("starterResources")
val starterJar = tasks.register<Jar>("starterJar") {
    archiveClassifier = "resources"
    from(copyModel)
}
artifacts.add(starterResources.name, starterJar)

publishing {
    publications.register<MavenPublication>("release") {
        afterEvaluate { from(components["release"]) }
        // For programs that are no Android apps.
        artifact(starterJar)
    }
}

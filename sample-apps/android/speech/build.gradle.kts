plugins {
    id("com.android.application")
}

android {
    namespace = "dev.sotto.sample.speech"
    compileSdk = libs.versions.androidCompileSdk.get().toInt()
    defaultConfig {
        applicationId = "dev.sotto.sample.speech"
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

plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
}

android {
    namespace = "io.github.tflmsparsesep.sample"
    compileSdk = 36
    defaultConfig {
        applicationId = "io.github.tflmsparsesep.sample"
        minSdk = 26
        targetSdk = 36
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") }
    }
    flavorDimensions += "runtime"
    productFlavors {
        create("litert1") {
            dimension = "runtime"
            applicationIdSuffix = ".litert1"
        }
        create("litert2") {
            dimension = "runtime"
            applicationIdSuffix = ".litert2"
        }
    }
    // The model is read where it lies in the package.
    androidResources { noCompress += "tflite" }
}

kotlin { jvmToolchain(17) }

dependencies {
    implementation(project(":"))
    "litert1Implementation"("com.google.ai.edge.litert:litert:1.4.2")
    "litert2Implementation"("com.google.ai.edge.litert:litert:2.3.0")
}

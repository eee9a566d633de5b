plugins { id("com.android.library") version "8.5.0" }

android {
    namespace = "io.github.tflmsparsesep"
    compileSdk = 34
    defaultConfig {
        minSdk = 26
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") }
        externalNativeBuild { cmake { targets("sparsesep_jni", "sparsesep_delegate") } }
    }
    externalNativeBuild { cmake { path = file("src/main/cpp/CMakeLists.txt") } }
}

dependencies { compileOnly("org.tensorflow:tensorflow-lite-api:2.14.0") }

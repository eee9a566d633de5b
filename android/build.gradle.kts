plugins {
    id("com.android.library") version "8.13.0"
    id("com.android.application") version "8.13.0" apply false
    id("org.jetbrains.kotlin.android") version "2.2.10" apply false
}

android {
    namespace = "io.github.tflmsparsesep"
    compileSdk = 36
    defaultConfig {
        minSdk = 26
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") }
    }
    flavorDimensions += "runtime"
    productFlavors {
        // LiteRT 1 and TensorFlow Lite: a delegate for their Interpreter.
        create("litert1") {
            dimension = "runtime"
            externalNativeBuild { cmake { targets("sparsesep_jni", "sparsesep_delegate") } }
        }
        // LiteRT 2: the accelerator for GPUs of its CompiledModel.
        create("litert2") {
            dimension = "runtime"
            externalNativeBuild {
                cmake {
                    targets("sparsesep_delegate")
                    arguments("-DSPARSESEP_LITERT_PLUGIN=ON")
                }
            }
        }
    }
    externalNativeBuild { cmake { path = file("src/main/cpp/CMakeLists.txt") } }
}

dependencies { "litert1CompileOnly"("org.tensorflow:tensorflow-lite-api:2.14.0") }

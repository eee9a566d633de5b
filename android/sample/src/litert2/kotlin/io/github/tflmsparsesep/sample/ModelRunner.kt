package io.github.tflmsparsesep.sample

import android.content.Context
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.Environment

const val RUNTIME = "LiteRT 2, CompiledModel"

/**
 * An int8 model with one input and one output, in LiteRT 2's CompiledModel. Its GPU is the library
 * libLiteRtGpuAccelerator.so that this app packs: our delegate.
 */
class ModelRunner(context: Context, asset: String) : AutoCloseable {
    private val environment = Environment.create()
    private val model =
        CompiledModel.create(
            context.assets,
            asset,
            CompiledModel.Options(Accelerator.GPU, Accelerator.CPU),
            environment,
        )
    private val inputs = model.createInputBuffers()
    private val outputs = model.createOutputBuffers()

    fun run(input: ByteArray): ByteArray {
        inputs[0].writeInt8(input)
        model.run(inputs, outputs)
        return outputs[0].readInt8()
    }

    override fun close() {
        (inputs + outputs).forEach { it.close() }
        model.close()
        environment.close()
    }
}

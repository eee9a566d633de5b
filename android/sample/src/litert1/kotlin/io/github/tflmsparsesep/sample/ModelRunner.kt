package io.github.tflmsparsesep.sample

import android.content.Context
import io.github.tflmsparsesep.SparseSepDelegate
import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.tensorflow.lite.Interpreter

const val RUNTIME = "LiteRT 1, delegate"

/** An int8 model with one input and one output, in LiteRT 1's Interpreter with the delegate. */
class ModelRunner(context: Context, asset: String) : AutoCloseable {
    private val delegate =
        SparseSepDelegate(mapOf("backend" to "opencl", "cache_dir" to context.codeCacheDir.path))
    private val interpreter =
        Interpreter(
            direct(context.assets.open(asset).use { it.readBytes() }),
            Interpreter.Options().addDelegate(delegate),
        )

    fun run(input: ByteArray): ByteArray {
        val output = ByteArray(interpreter.getOutputTensor(0).numBytes())
        val result = direct(output)
        interpreter.run(direct(input), result)
        result.rewind()
        result.get(output)
        return output
    }

    override fun close() {
        interpreter.close()
        delegate.close() // after the interpreter
    }

    private fun direct(bytes: ByteArray): ByteBuffer {
        val buffer = ByteBuffer.allocateDirect(bytes.size).order(ByteOrder.nativeOrder()).put(bytes)
        buffer.rewind()
        return buffer
    }
}

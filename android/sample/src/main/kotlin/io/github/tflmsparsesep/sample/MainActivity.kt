package io.github.tflmsparsesep.sample

import android.app.Activity
import android.os.Bundle
import android.util.Log
import android.widget.TextView
import java.util.Locale
import kotlin.concurrent.thread
import kotlin.system.measureNanoTime

private const val TAG = "sparsesep"
private const val RUNS = 50

/** Shows, and logs, the outputs of model.tflite for input.bin, and the time of an inference. */
class MainActivity : Activity() {
    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        val view = TextView(this)
        setContentView(view)
        thread {
            val text = runCatching(::report).getOrElse { "failed: $it" }
            Log.i(TAG, text)
            runOnUiThread { view.text = text }
        }
    }

    private fun report(): String {
        val input = assets.open("input.bin").use { it.readBytes() }
        return ModelRunner(this, "model.tflite").use { runner ->
            val output = runner.run(input)
            val nanoseconds = List(RUNS) { measureNanoTime { runner.run(input) } }.min()
            val time = String.format(Locale.ROOT, "%.3f ms", nanoseconds / 1e6)
            "$RUNTIME: $time, the fastest of $RUNS runs\noutput: ${output.joinToString()}"
        }
    }
}

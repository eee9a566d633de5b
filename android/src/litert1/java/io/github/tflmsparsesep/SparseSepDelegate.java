package io.github.tflmsparsesep;

import java.util.Map;
import org.tensorflow.lite.Delegate;

/**
 * Runs SPARSE_FULLY_CONNECTED, SPARSE_CONV_2D and SEPARABLE_CONV_2D in an Interpreter. Close it
 * after that.
 */
public final class SparseSepDelegate implements Delegate {
  static {
    System.loadLibrary("sparsesep_jni");
  }

  private long handle;

  /**
   * @param options as in docs/mobile.md, for example backend=opencl
   * @throws IllegalArgumentException for options that are not accepted
   */
  public SparseSepDelegate(Map<String, String> options) {
    String[] keys = options.keySet().toArray(new String[0]);
    String[] values = new String[keys.length];
    for (int i = 0; i < keys.length; ++i) {
      values[i] = options.get(keys[i]);
    }
    synchronized (SparseSepDelegate.class) {
      handle = create(keys, values);
    }
  }

  @Override
  public long getNativeHandle() {
    return handle;
  }

  @Override
  public void close() {
    if (handle != 0) {
      destroy(handle);
      handle = 0;
    }
  }

  private static native long create(String[] keys, String[] values);

  private static native void destroy(long handle);
}

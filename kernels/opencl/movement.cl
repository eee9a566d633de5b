// PAD and CONCATENATION: elements go elsewhere unchanged. ELEMENT is the type
// of one, of its size only.
#ifndef ELEMENT
#define ELEMENT char
#endif

kernel void fill(global ELEMENT* out, int count, int value) {
  const int i = (int)get_global_id(0);
  if (i < count) out[i] = (ELEMENT)value;
}

// Puts a box of in_shape's six dimensions into a larger one: element
// [i0]..[i5] goes to `first` + the sum of i * stride. One work-item each.
kernel void copy_box(global const ELEMENT* x, constant const int* in_shape,
                     constant const int* strides, global ELEMENT* out,
                     int count, int first) {
  const int i = (int)get_global_id(0);
  if (i >= count) return;
  int rest = i;
  int target = first;
  for (int d = 5; d >= 0; --d) {
    target += (rest % in_shape[d]) * strides[d];
    rest /= in_shape[d];
  }
  out[target] = x[i];
}

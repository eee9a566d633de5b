// PAD and CONCATENATION: copy elements. ELEMENT is any type of the right
// size.
#ifndef ELEMENT
#define ELEMENT char
#endif

kernel void fill(global ELEMENT* out, int count, int value) {
  const int i = (int)get_global_id(0);
  if (i < count) out[i] = (ELEMENT)value;
}

// Copies a box with the six dimensions in_shape: element [i0]..[i5] goes to
// `first` + sum(i * stride). One work-item per element.
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

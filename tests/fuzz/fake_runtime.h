// As much of a TensorFlow Lite runtime as a delegate sees: tensors and nodes
// from the bytes of a fuzzer, each allocation of its exact size.
//
// Like TensorFlow Lite, it gives constants exactly the bytes of their shape,
// tensors inside a partition no memory, and delegates any graph at all.
#ifndef SPARSESEP_TESTS_FAKE_RUNTIME_H_
#define SPARSESEP_TESTS_FAKE_RUNTIME_H_

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/operation.h"
#include "op_names.h"

enum {
  kMostTensors = 24,
  kMostNodes = 16,
  kMostRank = 8,
  kMostIndices = 8,
  kParameterBytes = 64,
  kArenaRw = 2,
};
// Of one tensor, and of the memory of a partition: more takes long to run.
#define MOST_BYTES ((size_t)1 << 16)

typedef struct Bytes {
  const uint8_t* next;
  size_t left;
} Bytes;

typedef struct Runtime {
  TfLiteContext context;  // first: callbacks get a pointer to it
  TfLiteTensor tensors[kMostTensors];
  TfLiteNode nodes[2 * kMostNodes];  // the model's, then the delegates'
  TfLiteRegistration registrations[2 * kMostNodes];
  int node_count;
  TfLiteIntArray* plan;
  // What the nodes of delegates were made of.
  TfLiteDelegateParams params[kMostNodes];
  int delegated;
} Runtime;

static void* allocate(size_t bytes) {
  void* memory = calloc(bytes > 0 ? bytes : 1, 1);
  if (memory == NULL) exit(2);
  return memory;
}

// Copies the next bytes; zeros stand for those that are missing.
static void take(Bytes* bytes, void* target, size_t count) {
  const size_t some = count < bytes->left ? count : bytes->left;
  memset(target, 0, count);
  memcpy(target, bytes->next, some);
  bytes->next += some;
  bytes->left -= some;
}

static uint8_t take_byte(Bytes* bytes) {
  uint8_t value;
  take(bytes, &value, 1);
  return value;
}

static TfLiteIntArray* new_ints(int count) {
  TfLiteIntArray* ints =
      allocate(sizeof(*ints) + (size_t)count * sizeof(ints->data[0]));
  ints->size = count;
  return ints;
}

static size_t width_of(TfLiteType type) {
  return type == kTfLiteInt8 || type == kTfLiteUInt8 ? 1 : 4;
}

// False for shapes that the runtime refuses, or that are too large to try.
static bool size_of(TfLiteType type, const TfLiteIntArray* dims,
                    size_t* bytes) {
  *bytes = width_of(type);
  for (int i = 0; i < dims->size; ++i) {
    if (dims->data[i] < 0) return false;
    *bytes *= (size_t)dims->data[i];
    if (*bytes > (size_t)1 << 40) return false;
  }
  return true;
}

static TfLiteIntArray* read_dims(Bytes* bytes) {
  TfLiteIntArray* dims = new_ints(take_byte(bytes) % (kMostRank + 1));
  take(bytes, dims->data, (size_t)dims->size * sizeof(dims->data[0]));
  return dims;
}

static void read_quantization(Bytes* bytes, TfLiteTensor* tensor) {
  const int count = take_byte(bytes) % 65;
  if (count == 0) return;
  TfLiteAffineQuantizationStruct* affine = allocate(sizeof(*affine));
  affine->scale = allocate(sizeof(*affine->scale) + (size_t)count * 4);
  affine->scale->size = count;
  affine->zero_point = new_ints(count);
  affine->quantized_dimension = take_byte(bytes) % kMostRank;
  take(bytes, affine->scale->data, (size_t)count * 4);
  take(bytes, affine->zero_point->data, 4);
  for (int i = 1; i < count; ++i) {
    affine->zero_point->data[i] = affine->zero_point->data[0];
  }
  tensor->quantization.type = kTfLiteAffineQuantization;
  tensor->quantization.params = affine;
  tensor->params.scale = affine->scale->data[0];
  tensor->params.zero_point = affine->zero_point->data[0];
}

static bool read_tensor(Bytes* bytes, TfLiteTensor* tensor) {
  static const TfLiteType types[] = {kTfLiteFloat32, kTfLiteInt32, kTfLiteUInt8,
                                     kTfLiteInt8};
  enum { kConstant = 1, kVariable = 2, kSparse = 3 };
  tensor->type = types[take_byte(bytes) % 4];
  const int kind = take_byte(bytes) % 8;
  tensor->dims = read_dims(bytes);
  read_quantization(bytes, tensor);
  if (!size_of(tensor->type, tensor->dims, &tensor->bytes)) return false;
  tensor->allocation_type = (TfLiteAllocationType)kArenaRw;
  tensor->is_variable = kind == kVariable;
  if (kind == kSparse) tensor->sparsity = tensor;
  if (kind == kConstant || kind == kSparse) {
    if (tensor->bytes > MOST_BYTES) return false;
    tensor->allocation_type = kTfLiteMmapRo;
    tensor->data = allocate(tensor->bytes);
    take(bytes, tensor->data, tensor->bytes);
  }
  return true;
}

// Indices of tensors; -1 is absent.
static TfLiteIntArray* read_indices(Bytes* bytes, size_t tensors) {
  TfLiteIntArray* indices = new_ints(take_byte(bytes) % (kMostIndices + 1));
  for (int i = 0; i < indices->size; ++i) {
    indices->data[i] = (int)(take_byte(bytes) % (tensors + 1)) - 1;
  }
  return indices;
}

static void read_node(Bytes* bytes, Runtime* runtime) {
  static const int32_t builtins[] = {
#define ROW(kind, builtin, check, kernels) kTfLiteBuiltin##builtin,
#include "graph/operators.inc"
#undef ROW
  };
  static const char* const names[] = {SPARSESEP_OP_SPARSE_FULLY_CONNECTED,
                                      SPARSESEP_OP_SEPARABLE_CONV_2D,
                                      SPARSESEP_OP_SPARSE_CONV_2D};
  TfLiteNode* node = &runtime->nodes[runtime->node_count];
  TfLiteRegistration* registration =
      &runtime->registrations[runtime->node_count++];
  const size_t kinds = sizeof(builtins) / sizeof(builtins[0]);
  const size_t kind = take_byte(bytes) % (kinds + 1);
  // One kind more: an operator that no delegate knows.
  registration->builtin_code = kind < kinds ? builtins[kind] : 1000;
  if (kind < 3) registration->custom_name = names[kind];
  node->inputs = read_indices(bytes, runtime->context.tensors_size);
  node->outputs = read_indices(bytes, runtime->context.tensors_size);
  node->builtin_data = allocate(kParameterBytes);
  take(bytes, node->builtin_data, take_byte(bytes) % (kParameterBytes + 1));
  // The runtime writes this field as a bool; other bytes are no value of it.
  const size_t keeps = offsetof(TfLiteFullyConnectedParams, keep_num_dims);
  ((uint8_t*)node->builtin_data)[keeps] &=
      registration->builtin_code == kTfLiteBuiltinFullyConnected ? 1 : 0xff;
  const int options = take_byte(bytes);
  if (options > 0) {
    uint8_t* custom = allocate((size_t)options);
    take(bytes, custom, (size_t)options);
    node->custom_initial_data = custom;
    node->custom_initial_data_size = options;
  }
}

static TfLiteStatus get_plan(TfLiteContext* context, TfLiteIntArray** plan) {
  *plan = ((Runtime*)context)->plan;
  return kTfLiteOk;
}

static TfLiteStatus get_node(TfLiteContext* context, int index,
                             TfLiteNode** node,
                             TfLiteRegistration** registration) {
  Runtime* runtime = (Runtime*)context;
  if (index < 0 || index >= runtime->node_count) return kTfLiteError;
  *node = &runtime->nodes[index];
  *registration = &runtime->registrations[index];
  return kTfLiteOk;
}

static TfLiteStatus resize(TfLiteContext* context, TfLiteTensor* tensor,
                           TfLiteIntArray* dims) {
  size_t bytes;
  (void)context;
  if (tensor->allocation_type == kTfLiteMmapRo ||
      !size_of(tensor->type, dims, &bytes)) {
    free(dims);
    return kTfLiteError;
  }
  free(tensor->dims);
  free(tensor->data);
  tensor->dims = dims;
  tensor->data = NULL;
  tensor->bytes = bytes;
  return kTfLiteOk;
}

static void report(TfLiteContext* context, const char* format, ...) {
  char line[512];
  va_list arguments;
  (void)context;
  va_start(arguments, format);
  vsnprintf(line, sizeof(line), format, arguments);
  va_end(arguments);
}

static bool has(const TfLiteIntArray* indices, int index) {
  for (int i = 0; i < indices->size; ++i) {
    if (indices->data[i] == index) return true;
  }
  return false;
}

// Returns whether a node of `part`, or one outside of it, uses a tensor so.
static bool is_used(const Runtime* runtime, const TfLiteIntArray* part,
                    bool inside, bool as_output, int index) {
  for (int i = 0; i < runtime->plan->size; ++i) {
    const int number = runtime->plan->data[i];
    const TfLiteNode* node = &runtime->nodes[number];
    if (has(part, number) == inside &&
        has(as_output ? node->outputs : node->inputs, index)) {
      return true;
    }
  }
  return false;
}

// The tensors that a part reads from outside, or writes for others.
static TfLiteIntArray* boundary(const Runtime* runtime,
                                const TfLiteIntArray* part, bool outputs) {
  TfLiteIntArray* found = new_ints(kMostTensors);
  found->size = 0;
  for (int t = 0; t < (int)runtime->context.tensors_size; ++t) {
    const bool written = is_used(runtime, part, true, true, t);
    const bool read = is_used(runtime, part, true, false, t);
    const bool read_elsewhere = is_used(runtime, part, false, false, t);
    const bool at_end = !read && !read_elsewhere;
    if (outputs ? written && (read_elsewhere || at_end) : read && !written) {
      found->data[found->size++] = t;
    }
  }
  return found;
}

// Makes one node of those from `first` on that follow each other in the plan.
static int add_part(Runtime* runtime, TfLiteRegistration registration,
                    const TfLiteIntArray* claimed, int first,
                    TfLiteDelegate* delegate) {
  TfLiteIntArray* part = new_ints(kMostNodes);
  part->size = 0;
  for (int i = first; i < runtime->plan->size; ++i) {
    if (!has(claimed, runtime->plan->data[i])) break;
    part->data[part->size++] = runtime->plan->data[i];
  }
  TfLiteDelegateParams* params = &runtime->params[runtime->delegated++];
  *params =
      (TfLiteDelegateParams){delegate, part, boundary(runtime, part, false),
                             boundary(runtime, part, true)};
  TfLiteNode* node = &runtime->nodes[runtime->node_count];
  runtime->registrations[runtime->node_count] = registration;
  node->inputs = params->input_tensors;
  node->outputs = params->output_tensors;
  node->delegate = delegate;
  node->user_data =
      registration.init(&runtime->context, (const char*)params, 0);
  return runtime->node_count++;
}

static TfLiteStatus replace_nodes(TfLiteContext* context,
                                  TfLiteRegistration registration,
                                  const TfLiteIntArray* claimed,
                                  TfLiteDelegate* delegate) {
  Runtime* runtime = (Runtime*)context;
  TfLiteIntArray* plan = new_ints(kMostNodes);
  plan->size = 0;
  for (int i = 0; i < runtime->plan->size; ++i) {
    const int number = runtime->plan->data[i];
    const bool taken = has(claimed, number);
    if (taken && (i == 0 || !has(claimed, runtime->plan->data[i - 1]))) {
      plan->data[plan->size++] =
          add_part(runtime, registration, claimed, i, delegate);
    } else if (!taken) {
      plan->data[plan->size++] = number;
    }
  }
  free(runtime->plan);
  runtime->plan = plan;
  return kTfLiteOk;
}

// False for a graph that the runtime refuses before any delegate sees it.
static bool read_graph(Bytes* bytes, Runtime* runtime) {
  runtime->context = (TfLiteContext){
      .tensors_size = 1 + take_byte(bytes) % kMostTensors,
      .tensors = runtime->tensors,
      .GetExecutionPlan = get_plan,
      .GetNodeAndRegistration = get_node,
      .ResizeTensor = resize,
      .ReportError = report,
      .ReplaceNodeSubsetsWithDelegateKernels = replace_nodes,
  };
  for (size_t i = 0; i < runtime->context.tensors_size; ++i) {
    if (!read_tensor(bytes, &runtime->tensors[i])) return false;
  }
  const int nodes = take_byte(bytes) % (kMostNodes + 1);
  for (int i = 0; i < nodes; ++i) read_node(bytes, runtime);
  runtime->plan = new_ints(nodes);
  for (int i = 0; i < nodes; ++i) runtime->plan->data[i] = i;
  return true;
}

// Gives the tensors that are outside of all parts memory. False: too much.
static bool allocate_tensors(Runtime* runtime) {
  for (int i = 0; i < runtime->plan->size; ++i) {
    const TfLiteNode* node = &runtime->nodes[runtime->plan->data[i]];
    const TfLiteIntArray* lists[] = {node->inputs, node->outputs};
    for (int list = 0; list < 2; ++list) {
      for (int k = 0; k < lists[list]->size; ++k) {
        const int index = lists[list]->data[k];
        TfLiteTensor* tensor = index < 0 ? NULL : &runtime->tensors[index];
        if (tensor == NULL || tensor->data != NULL) continue;
        if (tensor->bytes > MOST_BYTES) return false;
        tensor->data = allocate(tensor->bytes);
      }
    }
  }
  return true;
}

// Prepares the delegates' nodes, in order, as AllocateTensors() does.
static bool prepare_graph(Runtime* runtime) {
  for (int i = 0; i < runtime->plan->size; ++i) {
    const int number = runtime->plan->data[i];
    TfLiteNode* node = &runtime->nodes[number];
    if (node->delegate != NULL && runtime->registrations[number].prepare(
                                      &runtime->context, node) != kTfLiteOk) {
      return false;
    }
  }
  return allocate_tensors(runtime);
}

static void invoke_graph(Runtime* runtime) {
  for (int i = 0; i < runtime->plan->size; ++i) {
    const int number = runtime->plan->data[i];
    TfLiteNode* node = &runtime->nodes[number];
    if (node->delegate != NULL) {
      runtime->registrations[number].invoke(&runtime->context, node);
    }
  }
}

static void free_graph(Runtime* runtime) {
  for (int i = 0; i < runtime->node_count; ++i) {
    TfLiteNode* node = &runtime->nodes[i];
    if (node->delegate != NULL) {
      runtime->registrations[i].free(&runtime->context, node->user_data);
    }
    free(node->inputs);
    free(node->outputs);
    free(node->builtin_data);
    free((void*)(uintptr_t)node->custom_initial_data);
  }
  for (int i = 0; i < runtime->delegated; ++i) {
    free(runtime->params[i].nodes_to_replace);
  }
  for (size_t i = 0; i < runtime->context.tensors_size; ++i) {
    TfLiteTensor* tensor = &runtime->tensors[i];
    TfLiteAffineQuantizationStruct* affine = tensor->quantization.params;
    if (affine != NULL) {
      free(affine->scale);
      free(affine->zero_point);
      free(affine);
    }
    free(tensor->dims);
    free(tensor->data);
  }
  free(runtime->plan);
}

#endif  // SPARSESEP_TESTS_FAKE_RUNTIME_H_

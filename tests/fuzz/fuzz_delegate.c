// The LiteRT delegate on whole graphs: claims, partitions, shapes, plans of
// memory, the CPU backend, and resizes. See libfuzzer.py; without libFuzzer
// several threads run graphs at once, for ThreadSanitizer:
//
//   fuzz_delegate THREADS ROUNDS GRAPH...
//
// OpenCL's place is taken by a backend that claims all that the delegate
// supports and touches each byte of the planned memory, with a mark of the
// tensor that owns it.
#include "backend.h"
#include "delegate.h"
#include "fake_runtime.h"
#include "fuzz_blobs.h"

#include <pthread.h>

typedef struct MarkRunner {
  const SparsesepPartition* partition;
  uint8_t** slots;
} MarkRunner;

static bool claims(const void* backend, const TfLiteContext* context,
                   const SparsesepOperation* operation) {
  (void)backend;
  (void)context;
  (void)operation;
  return true;
}

static void free_runner(void* pointer) {
  MarkRunner* runner = pointer;
  for (int32_t i = 0; i < runner->partition->slot_count; ++i) {
    free(runner->slots[i]);
  }
  free(runner->slots);
  free(runner);
}

static void* prepare(void* backend, TfLiteContext* context,
                     SparsesepPartition* partition) {
  size_t bytes = 0;
  (void)backend;
  if (!sparsesep_plan_partition(partition, context, false)) return NULL;
  for (int32_t i = 0; i < partition->slot_count; ++i) {
    bytes += partition->slot_bytes[i];
    if (bytes > MOST_BYTES) return NULL;
  }
  MarkRunner* runner = allocate(sizeof(*runner));
  runner->partition = partition;
  runner->slots = allocate(sizeof(uint8_t*) * (size_t)partition->slot_count);
  for (int32_t i = 0; i < partition->slot_count; ++i) {
    runner->slots[i] = allocate(partition->slot_bytes[i]);
  }
  return runner;
}

static uint8_t mark_of(const SparsesepPartitionTensor* tensor) {
  return (uint8_t)(tensor->root + 1);
}

static uint8_t* slot_of(const MarkRunner* runner,
                        const SparsesepPartitionTensor* tensor) {
  const SparsesepPartitionTensor* root =
      &runner->partition->tensors[tensor->root];
  if (root->slot < 0 || sparsesep_tensor_bytes(tensor) >
                            runner->partition->slot_bytes[root->slot]) {
    abort();
  }
  return runner->slots[root->slot];
}

static void write_marks(const MarkRunner* runner,
                        const SparsesepPartitionTensor* tensor) {
  memset(slot_of(runner, tensor), mark_of(tensor),
         sparsesep_tensor_bytes(tensor));
}

UNWATCHED static void read_marks(const MarkRunner* runner,
                                 const SparsesepPartitionTensor* tensor) {
  const uint8_t* bytes = slot_of(runner, tensor);
  for (size_t i = sparsesep_tensor_bytes(tensor); i > 0; --i) {
    if (bytes[i - 1] != mark_of(tensor)) abort();
  }
}

static bool run(void* pointer, TfLiteContext* context) {
  const MarkRunner* runner = pointer;
  const SparsesepPartition* partition = runner->partition;
  for (int32_t i = 0; i < partition->tensor_count; ++i) {
    const SparsesepPartitionTensor* tensor = &partition->tensors[i];
    if (!tensor->input && !tensor->output) continue;
    // What a copy to or from the device would touch.
    memset(context->tensors[tensor->index].data, 0,
           sparsesep_tensor_bytes(tensor));
    if (tensor->input) write_marks(runner, tensor);
  }
  for (int32_t i = 0; i < partition->operation_count; ++i) {
    const SparsesepOperation* operation = &partition->operations[i];
    for (int k = 0; k < operation->inputs->size; ++k) {
      const SparsesepPartitionTensor* input =
          sparsesep_partition_input(partition, operation, k);
      if (input != NULL && !input->constant) read_marks(runner, input);
    }
    write_marks(runner, sparsesep_partition_output(partition, operation));
  }
  for (int32_t i = 0; i < partition->tensor_count; ++i) {
    if (partition->tensors[i].output) {
      read_marks(runner, &partition->tensors[i]);
    }
  }
  return true;
}

const SparsesepBackendTable sparsesep_opencl_backend = {
    "marks", claims, prepare, run, free_runner, free,
};

void* sparsesep_create_opencl_backend(const SparsesepDelegateOptions* options,
                                      char* reason, size_t reason_bytes) {
  (void)options;
  (void)reason;
  (void)reason_bytes;
  return allocate(1);
}

// Gives an input of the graph another shape.
static bool resize_input(Bytes* bytes, Runtime* runtime) {
  const size_t index = take_byte(bytes) % runtime->context.tensors_size;
  TfLiteIntArray* dims = read_dims(bytes);
  for (int i = 0; i < runtime->node_count; ++i) {
    if (has(runtime->nodes[i].outputs, (int)index)) {
      free(dims);
      return false;
    }
  }
  return resize(&runtime->context, &runtime->tensors[index], dims) == kTfLiteOk;
}

static void run_graph(Bytes* bytes, Runtime* runtime, uint8_t flags) {
  enum { kMarks = 1, kLeaveDense = 2, kTwoThreads = 4, kEarlyFree = 8 };
  SparsesepDelegateOptions options = {0};
  options.use_opencl = (flags & kMarks) != 0;
  options.leave_dense = (flags & kLeaveDense) != 0;
  options.threads = flags & kTwoThreads ? 2 : 1;
  TfLiteDelegate* delegate = sparsesep_create_delegate(&options);
  if (delegate == NULL) exit(2);
  if (delegate->Prepare(&runtime->context, delegate) == kTfLiteOk) {
    if (prepare_graph(runtime)) invoke_graph(runtime);
    while (bytes->left > 0 && resize_input(bytes, runtime)) {
      if (prepare_graph(runtime)) invoke_graph(runtime);
    }
  }
  // Garbage collectors free a delegate before the interpreter that uses it.
  if (flags & kEarlyFree) sparsesep_free_delegate(delegate);
  free_graph(runtime);
  if (!(flags & kEarlyFree)) sparsesep_free_delegate(delegate);
}

static void run_input(const uint8_t* data, size_t size) {
  Bytes bytes = {data, size};
  Runtime* runtime = allocate(sizeof(*runtime));
  const uint8_t flags = take_byte(&bytes);
  if (read_graph(&bytes, runtime)) {
    run_graph(&bytes, runtime, flags);
  } else {
    free_graph(runtime);
  }
  free(runtime);
}

#ifdef SPARSESEP_LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  run_input(data, size);
  return 0;
}
#else
typedef struct Job {
  int rounds;
  int count;
  char** paths;
} Job;

static void* run_job(void* pointer) {
  const Job* job = pointer;
  for (int i = 0; i < job->count; ++i) {
    size_t size;
    uint8_t* data = read_file(job->paths[i], &size);
    for (int round = 0; round < job->rounds; ++round) run_input(data, size);
    free(data);
  }
  return NULL;
}

int main(int argc, char** argv) {
  enum { kMostThreads = 16 };
  pthread_t threads[kMostThreads];
  if (argc < 4 || atoi(argv[1]) > kMostThreads) return 2;
  const int count = atoi(argv[1]);
  Job job = {atoi(argv[2]), argc - 3, argv + 3};
  for (int i = 0; i < count; ++i) {
    if (pthread_create(&threads[i], NULL, run_job, &job) != 0) return 2;
  }
  for (int i = 0; i < count; ++i) pthread_join(threads[i], NULL);
  return 0;
}
#endif

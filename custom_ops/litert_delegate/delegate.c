#include "delegate.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "graph/writers.h"
#include "message.h"

enum { kOpencl, kCpu, kBackends };

// An application may free the delegate before the interpreter: garbage
// collectors do, where both are in a reference cycle. Kernels use its backends,
// so it lives until the last of them is freed, too.
typedef struct Delegate {
  TfLiteDelegate base;  // first: the runtime holds a pointer to it
  atomic_int owners;    // the application and every kernel
  SparsesepDelegateOptions options;
  void* backends[kBackends];  // NULL: not used
} Delegate;

// A partition and its backend's runner.
typedef struct Kernel {
  Delegate* delegate;
  const SparsesepBackendTable* table;
  void* backend;
  SparsesepPartition* partition;
  void* runner;
} Kernel;

static const SparsesepBackendTable* const tables[kBackends] = {
    &sparsesep_opencl_backend, &sparsesep_cpu_backend};

static void release_delegate(Delegate* delegate) {
  if (atomic_fetch_sub(&delegate->owners, 1) > 1) return;
  for (int number = 0; number < kBackends; ++number) {
    if (delegate->backends[number] != NULL) {
      tables[number]->free_backend(delegate->backends[number]);
    }
  }
  free(delegate);
}

static void* init_kernel(TfLiteContext* context, const char* buffer,
                         int number) {
  const TfLiteDelegateParams* params = (const void*)buffer;
  Delegate* delegate = params->delegate->data_;
  Kernel* kernel = calloc(1, sizeof(*kernel));
  if (kernel == NULL) return NULL;
  atomic_fetch_add(&delegate->owners, 1);
  kernel->delegate = delegate;
  kernel->table = tables[number];
  kernel->backend = delegate->backends[number];
  kernel->partition = sparsesep_create_partition(context, params);
  return kernel;
}

static void* init_opencl(TfLiteContext* context, const char* buffer,
                         size_t length) {
  (void)length;
  return init_kernel(context, buffer, kOpencl);
}

static void* init_cpu(TfLiteContext* context, const char* buffer,
                      size_t length) {
  (void)length;
  return init_kernel(context, buffer, kCpu);
}

static void free_kernel(TfLiteContext* context, void* buffer) {
  (void)context;
  Kernel* kernel = buffer;
  if (kernel == NULL) return;
  if (kernel->runner != NULL) kernel->table->free_runner(kernel->runner);
  sparsesep_free_partition(kernel->partition);
  release_delegate(kernel->delegate);
  free(kernel);
}

static TfLiteStatus prepare_kernel(TfLiteContext* context, TfLiteNode* node) {
  Kernel* kernel = node->user_data;
  if (kernel == NULL || kernel->partition == NULL) {
    sparsesep_out_of_memory(context);
    return kTfLiteError;
  }
  if (kernel->runner != NULL) kernel->table->free_runner(kernel->runner);
  kernel->runner =
      kernel->table->prepare(kernel->backend, context, kernel->partition);
  return kernel->runner == NULL ? kTfLiteError : kTfLiteOk;
}

static TfLiteStatus run_kernel(TfLiteContext* context, TfLiteNode* node) {
  Kernel* kernel = node->user_data;
  return kernel->runner != NULL && kernel->table->run(kernel->runner, context)
             ? kTfLiteOk
             : kTfLiteError;
}

static TfLiteRegistration kernel_registration(int number) {
  TfLiteRegistration registration;
  memset(&registration, 0, sizeof(registration));
  registration.init = number == kOpencl ? init_opencl : init_cpu;
  registration.free = free_kernel;
  registration.prepare = prepare_kernel;
  registration.invoke = run_kernel;
  registration.builtin_code = kTfLiteBuiltinDelegate;
  registration.custom_name = "SparseSepDelegate";
  registration.version = 1;
  return registration;
}

// Checks the operator at a position of the plan.
static bool is_claimed(TfLiteContext* context, const Delegate* delegate,
                       int number, const TfLiteIntArray* plan, int position,
                       const int32_t* writers) {
  TfLiteNode* node = NULL;
  TfLiteRegistration* registration = NULL;
  SparsesepOperation operation;
  return context->GetNodeAndRegistration(context, plan->data[position], &node,
                                         &registration) == kTfLiteOk &&
         node->delegate == NULL &&
         sparsesep_read_operation(node, registration, &operation) &&
         sparsesep_is_supported(context, &operation) &&
         sparsesep_is_written_in_order(context, writers, position,
                                       &operation) &&
         tables[number]->claims(delegate->backends[number], context,
                                &operation);
}

// Assigns to one backend those of the remaining operators that it claims.
static TfLiteStatus delegate_nodes(TfLiteContext* context, Delegate* delegate,
                                   int number) {
  TfLiteIntArray* plan = NULL;
  TfLiteStatus status = context->GetExecutionPlan(context, &plan);
  if (status != kTfLiteOk) return status;
  const int total = plan->size;
  TfLiteIntArray* claimed =
      malloc(sizeof(*claimed) + (size_t)total * sizeof(int));
  int32_t* writers = sparsesep_find_writers(context, plan);
  if (claimed == NULL || writers == NULL) {
    free(claimed);
    free(writers);
    sparsesep_out_of_memory(context);
    return kTfLiteError;
  }
  claimed->size = 0;
  const bool trusted = !sparsesep_writes_constants(context, writers);
  for (int i = 0; i < total && trusted; ++i) {
    if (is_claimed(context, delegate, number, plan, i, writers)) {
      claimed->data[claimed->size++] = plan->data[i];
    }
  }
  free(writers);
  // That nothing is left for the CPU is not worth a message.
  const bool stands_alone = delegate->backends[kOpencl] == NULL;
  if (delegate->options.verbose &&
      (number == kOpencl || claimed->size > 0 || stands_alone)) {
    sparsesep_delegate_message("%s runs %d of %d operators",
                               tables[number]->name, claimed->size, total);
  }
  if (claimed->size > 0) {
    status = context->ReplaceNodeSubsetsWithDelegateKernels(
        context, kernel_registration(number), claimed, &delegate->base);
  }
  free(claimed);
  return status;
}

static TfLiteStatus prepare_delegate(TfLiteContext* context,
                                     TfLiteDelegate* base) {
  Delegate* delegate = base->data_;
  for (int number = 0; number < kBackends; ++number) {
    if (delegate->backends[number] == NULL) continue;
    const TfLiteStatus status = delegate_nodes(context, delegate, number);
    if (status != kTfLiteOk) return status;
  }
  return kTfLiteOk;
}

TfLiteDelegate* sparsesep_create_delegate(
    const SparsesepDelegateOptions* options) {
  Delegate* delegate = calloc(1, sizeof(*delegate));
  if (delegate == NULL) return NULL;
  atomic_init(&delegate->owners, 1);
  delegate->options = *options;
  delegate->base.data_ = delegate;
  delegate->base.Prepare = prepare_delegate;
  // Without this flag LiteRT resolves all operators before it applies
  // delegates.
  delegate->base.flags = kTfLiteDelegateFlagsAllowDynamicTensors;
  delegate->backends[kCpu] = sparsesep_create_cpu_backend(options);
  if (delegate->backends[kCpu] == NULL) {
    free(delegate);
    return NULL;
  }
  if (options->use_opencl) {
    char reason[256];
    delegate->backends[kOpencl] =
        sparsesep_create_opencl_backend(options, reason, sizeof(reason));
    if (delegate->backends[kOpencl] == NULL) {
      sparsesep_delegate_message("%s; the CPU takes its place", reason);
    }
  }
  return &delegate->base;
}

void sparsesep_free_delegate(TfLiteDelegate* base) {
  if (base != NULL) release_delegate(base->data_);
}

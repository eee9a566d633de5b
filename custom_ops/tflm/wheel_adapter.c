// sparsesep's operators for the `tflite-micro` Python wheel.
//
// Load this library with RTLD_GLOBAL and give the interpreter
// custom_op_registerers=["SparseSepRegisterer"]: the wheel finds that symbol
// by dlsym and calls it once per interpreter.
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/paged_fully_connected_op.h"
#include "core/paged_sparse_conv_2d_op.h"
#include "core/separable_conv_2d_op.h"
#include "core/sparse_conv_2d_op.h"
#include "core/sparse_fully_connected_op.h"
#include "op_names.h"
#include "wheel_abi.h"
#include "wheel_image.h"

static void* init_paged(const SparsesepHost* host, const void* options,
                        size_t options_bytes) {
  return sparsesep_paged_fully_connected_init(host, options, options_bytes,
                                              wheel_selected_image());
}

static void* init_paged_conv(const SparsesepHost* host, const void* options,
                             size_t options_bytes) {
  return sparsesep_paged_sparse_conv_init(host, options, options_bytes,
                                          wheel_selected_image());
}

// One row per operator: its name, the prefix of its functions in core/, and its
// init. The first two take the places of the next two where an image is
// selected.
#define PAGED_OPS 2
#define SPARSESEP_WHEEL_OPS(ROW)                                            \
  ROW(SPARSESEP_OP_SPARSE_FULLY_CONNECTED, sparsesep_paged_fully_connected, \
      init_paged)                                                           \
  ROW(SPARSESEP_OP_SPARSE_CONV_2D, sparsesep_paged_sparse_conv,             \
      init_paged_conv)                                                      \
  ROW(SPARSESEP_OP_SPARSE_FULLY_CONNECTED, sparsesep_fully_connected,       \
      sparsesep_fully_connected_init)                                       \
  ROW(SPARSESEP_OP_SPARSE_CONV_2D, sparsesep_sparse_conv,                   \
      sparsesep_sparse_conv_init)                                           \
  ROW(SPARSESEP_OP_SEPARABLE_CONV_2D, sparsesep_separable_conv,             \
      sparsesep_separable_conv_init)

// What the wheel has called init for and not yet free. prepare looks its
// node's user_data up here, so that a wheel whose nodes are laid out
// differently is refused before a foreign pointer is followed.
typedef struct LiveOp {
  void* op_data;
  struct LiveOp* next;
} LiveOp;

static WheelApi g_api;
static LiveOp* g_live_ops;
static pthread_mutex_t g_lock = PTHREAD_MUTEX_INITIALIZER;

static bool is_live(const void* op_data) {
  pthread_mutex_lock(&g_lock);
  const LiveOp* op = g_live_ops;
  while (op != NULL && op->op_data != op_data) op = op->next;
  pthread_mutex_unlock(&g_lock);
  return op != NULL;
}

// An interpreter whose construction fails is never freed; its entry goes when
// the memory is handed out again.
static void remove_live(const void* op_data) {
  pthread_mutex_lock(&g_lock);
  for (LiveOp** link = &g_live_ops; *link != NULL; link = &(*link)->next) {
    LiveOp* op = *link;
    if (op->op_data != op_data) continue;
    *link = op->next;
    free(op);
    break;
  }
  pthread_mutex_unlock(&g_lock);
}

static bool add_live(void* op_data) {
  remove_live(op_data);
  LiveOp* op = malloc(sizeof(*op));
  if (op == NULL) return false;
  op->op_data = op_data;
  pthread_mutex_lock(&g_lock);
  op->next = g_live_ops;
  g_live_ops = op;
  pthread_mutex_unlock(&g_lock);
  return true;
}

static SparsesepTensorType tensor_type(int32_t type) {
  switch (type) {
    case WHEEL_INT8:
      return SPARSESEP_TENSOR_INT8;
    case WHEEL_UINT8:
      return SPARSESEP_TENSOR_UINT8;
    case WHEEL_FLOAT32:
      return SPARSESEP_TENSOR_FLOAT32;
    default:
      return SPARSESEP_TENSOR_OTHER;
  }
}

// The wheel's own getters do not check all of this.
static bool has_tensor(const WheelIntArray* indices, int32_t position) {
  return indices != NULL && position < indices->size &&
         indices->data[position] >= 0;
}

static SparsesepStatus get_tensor(const SparsesepHost* host,
                                  SparsesepTensorSlot slot,
                                  SparsesepTensor* tensor) {
  const WheelNode* node = host->node;
  const WheelEvalTensor* found = NULL;
  const int position = sparsesep_input_of_slot(slot);
  if (slot == SPARSESEP_SLOT_OUTPUT) {
    if (has_tensor(node->outputs, 0)) {
      found = g_api.get_output(host->context, node, 0);
    }
  } else if (has_tensor(node->inputs, position)) {
    found = g_api.get_input(host->context, node, position);
  }
  if (found == NULL || found->dims == NULL) return SPARSESEP_BAD_TENSOR;
  tensor->data = found->data;
  tensor->dims = found->dims->data;
  tensor->rank = found->dims->size;
  tensor->type = tensor_type(found->type);
  return SPARSESEP_OK;
}

static void* allocate_persistent(const SparsesepHost* host, size_t bytes) {
  return g_api.allocate_persistent(host->context, bytes);
}

static SparsesepStatus request_scratch(const SparsesepHost* host, size_t bytes,
                                       int* scratch_index) {
  const int status = g_api.request_scratch(host->context, bytes, scratch_index);
  return status == WHEEL_OK ? SPARSESEP_OK : SPARSESEP_OUT_OF_MEMORY;
}

static void* get_scratch(const SparsesepHost* host, int scratch_index) {
  return g_api.get_scratch(host->context, scratch_index);
}

static void report(const SparsesepHost* host, const char* op_name,
                   const char* message) {
  (void)host;
  fprintf(stderr, "%s: %s\n", op_name, message);
}

static SparsesepHost make_host(void* context, WheelNode* node) {
  return (SparsesepHost){
      .context = context,
      .node = node,
      .get_tensor = get_tensor,
      .allocate_persistent = allocate_persistent,
      .request_scratch = request_scratch,
      .get_scratch = get_scratch,
      .report = report,
  };
}

static void free_op(void* context, void* op_data) {
  (void)context;
  remove_live(op_data);
}

static bool node_is_known(const SparsesepHost* host, const char* op_name) {
  const WheelNode* node = host->node;
  if (is_live(node->user_data)) return true;
  report(host, op_name,
         node->user_data == NULL
             ? "no memory for the operator's data"
             : "this tflite-micro keeps the operator's data elsewhere");
  return false;
}

// In Prepare only constant tensors have data. Writing to one would overwrite
// what has been validated.
static bool writes_constant(const SparsesepHost* host, const char* op_name) {
  SparsesepTensor output;
  if (get_tensor(host, SPARSESEP_SLOT_OUTPUT, &output) != SPARSESEP_OK ||
      output.data == NULL) {
    return false;
  }
  report(host, op_name, "the output is a constant tensor");
  return true;
}

// The interpreter's callbacks do not say which operator they are called for,
// so each row gets its own three.
#define SPARSESEP_WHEEL_GLUE(NAME, CORE, INIT)                                \
  static void* CORE##_wheel_init(void* context, const char* options,          \
                                 size_t options_bytes) {                      \
    const SparsesepHost host = make_host(context, NULL);                      \
    void* op_data = INIT(&host, options, options_bytes);                      \
    return op_data != NULL && add_live(op_data) ? op_data : NULL;             \
  }                                                                           \
  static int CORE##_wheel_prepare(void* context, WheelNode* node) {           \
    const SparsesepHost host = make_host(context, node);                      \
    if (!node_is_known(&host, NAME) || writes_constant(&host, NAME)) {        \
      return WHEEL_ERROR;                                                     \
    }                                                                         \
    return CORE##_prepare(&host, node->user_data) == SPARSESEP_OK             \
               ? WHEEL_OK                                                     \
               : WHEEL_ERROR;                                                 \
  }                                                                           \
  static int CORE##_wheel_eval(void* context, WheelNode* node) {              \
    const SparsesepHost host = make_host(context, node);                      \
    return CORE##_eval(&host, node->user_data) == SPARSESEP_OK ? WHEEL_OK     \
                                                               : WHEEL_ERROR; \
  }
SPARSESEP_WHEEL_OPS(SPARSESEP_WHEEL_GLUE)

#define SPARSESEP_WHEEL_ROW(NAME, CORE, INIT) \
  {.init = CORE##_wheel_init,                 \
   .free = free_op,                           \
   .prepare = CORE##_wheel_prepare,           \
   .invoke = CORE##_wheel_eval,               \
   .custom_name = NAME},
static const WheelRegistration kOps[] = {
    SPARSESEP_WHEEL_OPS(SPARSESEP_WHEEL_ROW)};

static bool refuse(const char* problem) {
  fprintf(stderr, "sparsesep: this tflite-micro is not supported: %s\n",
          problem);
  return false;
}

// `resolver` is a tflite::PythonOpsResolver*. False, with a line on stderr,
// where the wheel is not one that this library knows.
__attribute__((visibility("default"))) bool SparseSepRegisterer(void* resolver);

bool SparseSepRegisterer(void* resolver) {
  WheelApi api;
  memset(&api, 0, sizeof(api));
  const char* problem = wheel_recognize(resolver, &api);
  if (problem != NULL) return refuse(problem);
  if (g_api.get_scratch != NULL && memcmp(&api, &g_api, sizeof(api)) != 0) {
    return refuse("another one is already in use in this process");
  }
  g_api = api;
  const size_t replaced = wheel_selected_image() == NULL ? 0 : PAGED_OPS;
  for (size_t i = 0; i < sizeof(kOps) / sizeof(*kOps); ++i) {
    if (i >= replaced && i < replaced + PAGED_OPS) continue;
    problem = wheel_add_custom(resolver, &kOps[i]);
    if (problem != NULL) return refuse(problem);
  }
  return true;
}

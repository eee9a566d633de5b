// Runs the layers of job.bin: evaluates an operator once per input with the
// call marked for the counting plugin, writes outputs.bin and result.bin.
#include <string.h>

#include "arena.h"
#include "array_port.h"
#include "core/separable_conv_2d_op.h"
#include "core/sparse_conv_2d_op.h"
#include "core/sparse_fully_connected_op.h"
#include "counter_check.h"
#include "job.h"
#include "measured_call.h"
#include "misbehave.h"
#include "op_names.h"
#include "semihosting.h"
#include "sparsesep/depthwise_conv.h"
#ifdef FIRMWARE_PAGING
#include "core/paged_fully_connected_op.h"
#include "core/paged_sparse_conv_2d_op.h"
#include "simulated_flash.h"
#endif

typedef struct FirmwareOp {
  const char* name;
  void* (*init)(const SparsesepHost* host, const void* options,
                size_t options_bytes);
  SparsesepStatus (*prepare)(const SparsesepHost* host, void* op_data);
  EvalFunction eval;
  // Name of the kernel that runs validated weights; NULL where there is one.
  const char* (*kernel_name)(const void* weights);
} FirmwareOp;

static const char* fully_connected_name(const void* weights) {
  return sparsesep_fully_connected_variant_name(
      sparsesep_select_fully_connected(weights));
}

static const char* separable_conv_name(const void* weights) {
  if (sparsesep_is_depthwise(weights)) {
    return sparsesep_depthwise_variant_name(
        sparsesep_select_depthwise_conv(weights));
  }
  return sparsesep_separable_conv_variant_name(
      sparsesep_select_separable_conv(weights));
}

static const char* sparse_conv_name(const void* blob) {
  return fully_connected_name(sparsesep_sparse_conv_weights(blob));
}

// One row per operator; the first of a name counts. What no row names is not
// linked.
static const FirmwareOp ops[] = {
#ifdef FIRMWARE_PAGING
    {SPARSESEP_OP_SPARSE_FULLY_CONNECTED, simulated_flash_init,
     sparsesep_paged_fully_connected_prepare, simulated_flash_eval,
     fully_connected_name},
    {SPARSESEP_OP_SPARSE_CONV_2D, simulated_flash_conv_init,
     sparsesep_paged_sparse_conv_prepare, simulated_flash_conv_eval,
     sparse_conv_name},
#endif
    {SPARSESEP_OP_SPARSE_FULLY_CONNECTED, sparsesep_fully_connected_init,
     sparsesep_fully_connected_prepare, sparsesep_fully_connected_eval,
     fully_connected_name},
    {SPARSESEP_OP_SEPARABLE_CONV_2D, sparsesep_separable_conv_init,
     sparsesep_separable_conv_prepare, sparsesep_separable_conv_eval,
     separable_conv_name},
    {SPARSESEP_OP_SPARSE_CONV_2D, sparsesep_sparse_conv_init,
     sparsesep_sparse_conv_prepare, sparsesep_sparse_conv_eval,
     sparse_conv_name},
    {COUNTER_CHECK_NAME, counter_check_init, counter_check_prepare,
     counter_check_eval, NULL},
    {MISBEHAVE_NAME, misbehave_init, misbehave_prepare, misbehave_eval, NULL},
};

extern const uint8_t __core_start[], __core_end[];

static struct {
  int32_t job, outputs, results;
} files;
static FirmwareJob job;
static FirmwareResult result;
static ArrayPort port;

static uint32_t stop(uint32_t stage, SparsesepStatus status,
                     const char* message) {
  result.status = status;
  if (result.message[0] == 0) {
    strncpy(result.message, message, sizeof(result.message) - 1);
  }
  return stage;
}

static const FirmwareOp* find_op(const char* name) {
  for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); ++i) {
    if (strcmp(ops[i].name, name) == 0) return &ops[i];
  }
  return NULL;
}

// Memory filled with the next `bytes` bytes of job.bin; NULL without room or
// where the file ends early.
static void* read_block(uint32_t bytes) {
  void* memory = arena_allocate(bytes);
  if (memory == NULL || semihosting_read(files.job, memory, bytes) != 0)
    return NULL;
  return memory;
}

static uint32_t evaluate(const FirmwareOp* op, const SparsesepHost* host,
                         const void* op_data) {
  void* input = port.tensors[SPARSESEP_SLOT_INPUT].data;
  void* output = port.tensors[SPARSESEP_SLOT_OUTPUT].data;
  void* residual = port.tensors[SPARSESEP_SLOT_RESIDUAL].data;
  for (uint32_t i = 0; i < job.inputs; ++i) {
    if (semihosting_read(files.job, input, job.input_bytes) != 0 ||
        semihosting_read(files.job, residual, job.residual_bytes) != 0) {
      return stop(FIRMWARE_STAGE_JOB, SPARSESEP_OK, "job.bin ends early");
    }
    const SparsesepStatus status = measured_call(op->eval, host, op_data);
    if (status != SPARSESEP_OK) {
      return stop(FIRMWARE_STAGE_EVAL, status,
                  sparsesep_status_message(status));
    }
    if (!arena_is_intact()) {
      return stop(FIRMWARE_STAGE_OVERRUN, SPARSESEP_OK,
                  "wrote behind the end of a buffer");
    }
    if (semihosting_write(files.outputs, output, job.output_bytes) != 0) {
      return stop(FIRMWARE_STAGE_JOB, SPARSESEP_OK, "cannot write outputs.bin");
    }
  }
  return FIRMWARE_STAGE_DONE;
}

static uint32_t run_op(const FirmwareOp* op) {
  void* options = read_block(job.options_bytes);
  void* weights = read_block(job.weights_bytes);
#ifdef FIRMWARE_PAGING
  void* external = read_block(job.flash.bytes);
  if (external == NULL) {
    return stop(FIRMWARE_STAGE_MEMORY, SPARSESEP_OUT_OF_MEMORY,
                "the external memory does not fit into RAM");
  }
  simulated_flash_open(&job.flash, external, &result);
#endif
  void* input = arena_allocate(job.input_bytes);
  void* output = arena_allocate(job.output_bytes);
  void* residual = arena_allocate(job.residual_bytes);
  if (!options || !weights || !input || !output || !residual) {
    return stop(FIRMWARE_STAGE_MEMORY, SPARSESEP_OUT_OF_MEMORY,
                "options, weights, input and output do not fit into RAM");
  }
  const SparsesepTensorType type = (SparsesepTensorType)job.tensor_type;
  const int32_t weights_dims[] = {(int32_t)job.weights_bytes};
  // As in TFLM, only constants have a place before eval.
  port.tensors[SPARSESEP_SLOT_INPUT] =
      (SparsesepTensor){NULL, job.input_shape.dims, job.input_shape.rank, type};
  port.tensors[SPARSESEP_SLOT_WEIGHTS] =
      (SparsesepTensor){weights, weights_dims, 1, SPARSESEP_TENSOR_UINT8};
  port.tensors[SPARSESEP_SLOT_OUTPUT] = (SparsesepTensor){
      NULL, job.output_shape.dims, job.output_shape.rank, type};

  if (job.residual_bytes > 0) {
    port.tensors[SPARSESEP_SLOT_RESIDUAL] = port.tensors[SPARSESEP_SLOT_OUTPUT];
  }

  const SparsesepHost host = array_port_host(&port);
  void* op_data = op->init(&host, options, job.options_bytes);
  if (op_data == NULL) {
    return stop(FIRMWARE_STAGE_INIT, SPARSESEP_OUT_OF_MEMORY,
                "init found no memory");
  }
  const SparsesepStatus status = op->prepare(&host, op_data);
  if (status != SPARSESEP_OK) {
    return stop(FIRMWARE_STAGE_PREPARE, status,
                sparsesep_status_message(status));
  }
  if (op->kernel_name != NULL) {
    strncpy(result.kernel, op->kernel_name(weights), sizeof(result.kernel) - 1);
  }
  port.tensors[SPARSESEP_SLOT_INPUT].data = input;
  port.tensors[SPARSESEP_SLOT_OUTPUT].data = output;
  port.tensors[SPARSESEP_SLOT_RESIDUAL].data = residual;
  return evaluate(op, &host, op_data);
}

static uint32_t run_layer(void) {
  if (semihosting_read(files.job, &job, sizeof(job)) != 0 ||
      job.magic != FIRMWARE_JOB_MAGIC || job.bytes != sizeof(job)) {
    return stop(FIRMWARE_STAGE_JOB, SPARSESEP_OK,
                "job.bin is not a job of this firmware");
  }
  job.op_name[sizeof(job.op_name) - 1] = 0;
  const FirmwareOp* op = find_op(job.op_name);
  if (op == NULL) {
    return stop(FIRMWARE_STAGE_JOB, SPARSESEP_UNSUPPORTED,
                "this firmware has no such operator");
  }
  return run_op(op);
}

// Memory and results as after a reset: a layer knows nothing of those before.
static void begin_layer(void) {
  arena_reset();
  port = (ArrayPort){.result = &result};
  result = (FirmwareResult){
      .magic = FIRMWARE_RESULT_MAGIC,
      .bytes = sizeof(result),
      .code_bytes = (uint32_t)(__core_end - __core_start),
  };
}

int main(void) {
  files.job = semihosting_open("job.bin", SEMIHOSTING_OPEN_READ);
  files.outputs = semihosting_open("outputs.bin", SEMIHOSTING_OPEN_WRITE);
  files.results = semihosting_open("result.bin", SEMIHOSTING_OPEN_WRITE);
  if (files.job < 0 || files.outputs < 0 || files.results < 0) return 1;
  do {
    begin_layer();
    result.stage = run_layer();
    if (semihosting_write(files.results, &result, sizeof(result)) != 0) {
      return 1;
    }
  } while (result.stage == FIRMWARE_STAGE_DONE && job.following != 0);
  return 0;
}

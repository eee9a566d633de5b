#include "conv_op.h"

#include "op_options.h"
#include "operator.h"
#include "sparse_fully_connected/variants.h"
#include "sparsesep/compiler.h"

_Static_assert(sizeof(SparsesepConvOp) <= 64, "persistent arena per operator");

// Returns whether the tensor is an image of these sizes, small enough to be
// addressed.
SPARSESEP_COLD
static int is_image(const SparsesepTensor* tensor, SparsesepTensorType type,
                    int32_t batch, int32_t height, int32_t width,
                    uint32_t channels) {
  const int32_t dims[] = {batch, height, width, (int32_t)channels};
  if (tensor->type != type || tensor->rank != 4) return 0;
  int32_t elements = 1;
  for (int i = 0; i < 4; ++i) {
    const int32_t dim = tensor->dims[i];
    if (dim != dims[i] || dim <= 0 || elements > INT32_MAX / 4 / dim) return 0;
    elements *= dim;
  }
  return 1;
}

// Compares the second activation tensor with the output, which it is added to.
SPARSESEP_COLD
static SparsesepStatus fit_residual(const SparsesepHost* host,
                                    const SparsesepTensor* output) {
  SparsesepTensor residual;
  const SparsesepStatus status =
      host->get_tensor(host, SPARSESEP_SLOT_RESIDUAL, &residual);
  if (status != SPARSESEP_OK) return status;
  const int32_t* dims = output->dims;
  return is_image(&residual, output->type, dims[0], dims[1], dims[2],
                  (uint32_t)dims[3])
             ? SPARSESEP_OK
             : SPARSESEP_BAD_TENSOR;
}

// Completes `shape` from the input, which the output must agree with.
SPARSESEP_COLD
static SparsesepStatus fit_tensors(const SparsesepHost* host,
                                   const SparsesepConvKind* kind,
                                   const void* blob,
                                   SparsesepConvShape* shape) {
  SparsesepTensor input;
  SparsesepTensor output;
  SparsesepConvTensors tensors;
  SparsesepStatus status = host->get_tensor(host, SPARSESEP_SLOT_INPUT, &input);
  if (status != SPARSESEP_OK) return status;
  status = host->get_tensor(host, SPARSESEP_SLOT_OUTPUT, &output);
  if (status != SPARSESEP_OK) return status;
  if (input.rank != 4) return SPARSESEP_BAD_TENSOR;

  shape->batch = input.dims[0];
  shape->input_height = input.dims[1];
  shape->input_width = input.dims[2];
  tensors.has_residual = 0;
  status = kind->describe(blob, shape, &tensors);
  if (status != SPARSESEP_OK) return status;
  const SparsesepTensorType type =
      tensors.is_float ? SPARSESEP_TENSOR_FLOAT32 : SPARSESEP_TENSOR_INT8;
  const int legal = is_image(&input, type, shape->batch, shape->input_height,
                             shape->input_width, tensors.input_channels) &&
                    is_image(&output, type, shape->batch, shape->output_height,
                             shape->output_width, tensors.output_channels);
  if (!legal) return SPARSESEP_BAD_TENSOR;
  return SPARSESEP_LINKS_RESIDUALS && tensors.has_residual
             ? fit_residual(host, &output)
             : SPARSESEP_OK;
}

SPARSESEP_COLD
static SparsesepStatus prepare(const SparsesepHost* host, SparsesepConvOp* op,
                               const SparsesepConvKind* kind) {
  const void* blob = NULL;
  size_t bytes = 0;
  if (op == NULL) return SPARSESEP_OUT_OF_MEMORY;
  SparsesepStatus status = op->init_status;
  if (status == SPARSESEP_OK) status = sparsesep_get_blob(host, &blob, &bytes);
  if (status == SPARSESEP_OK) status = kind->validate(blob, bytes);
  if (status == SPARSESEP_OK) {
    status = fit_tensors(host, kind, blob, &op->shape);
  }
  if (status != SPARSESEP_OK) return status;

  op->blob = blob;
  op->variant = kind->select(blob);
  if (op->variant == NULL) return SPARSESEP_UNSUPPORTED;
  return sparsesep_reserve_scratch(
      host, kind->scratch_bytes(blob, &op->shape, op->variant),
      &op->scratch_index);
}

SPARSESEP_COLD
void* sparsesep_conv_init(const SparsesepHost* host, const void* options,
                          size_t options_bytes) {
  SparsesepConvOp* op = sparsesep_allocate_op(host, sizeof(*op));
  if (op != NULL && options_bytes != 0 &&
      sparsesep_options_head(options, options_bytes) !=
          SPARSESEP_OPTIONS_HEAD_CONV) {
    op->init_status = SPARSESEP_BAD_OPTIONS;
  }
  return op;
}

SPARSESEP_COLD
SparsesepStatus sparsesep_conv_prepare(const SparsesepHost* host, void* op_data,
                                       const SparsesepConvKind* kind) {
  return sparsesep_report(host, kind->name, prepare(host, op_data, kind));
}

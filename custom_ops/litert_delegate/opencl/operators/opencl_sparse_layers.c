// SPARSE_FULLY_CONNECTED and SPARSE_CONV_2D on OpenCL. The op core validates
// the operators; the device only replaces their eval.
#include "core/sparse_conv_2d_op.h"
#include "core/sparse_fully_connected_op.h"
#include "graph/core_port.h"
#include "opencl/operators/arithmetic.h"
#include "opencl/operators/sparse_rows.h"
#include "opencl/sources.h"

static const void* open_op(const SparsesepOpenclNode* node,
                           SparsesepCorePort* port) {
  return sparsesep_open_core_op(node->context, node->runner->partition,
                                node->operation, port);
}

void sparsesep_opencl_sparse_fully_connected(const SparsesepOpenclNode* node) {
  SparsesepCorePort port;
  const SparsesepFullyConnectedOp* op = open_op(node, &port);
  if (op != NULL) {
    const SparsesepVectors vectors = {
        sparsesep_buffer_of(node->runner, node->input), op->batch, op->batch, 0,
        &op->params};
    sparsesep_add_sparse_rows(node, port.tensors[SPARSESEP_SLOT_WEIGHTS].data,
                              &vectors);
  } else {
    sparsesep_opencl_fail(node->runner, "SPARSE_FULLY_CONNECTED refused", 0);
  }
  sparsesep_close_port(&port);
}

// Lines of windows: see gather_windows.cl.
typedef struct Lines {
  int32_t columns;  // of a line
  int32_t span;
  int32_t step;   // elements from a window to the next
  int32_t pitch;  // elements of a line
  int64_t count;  // elements of all
} Lines;

// False if there are too many for the numbers of a kernel.
static bool make_lines(const SparsesepSparseConv* conv,
                       const SparsesepConvShape* shape, Lines* lines) {
  const bool shared =
      conv->dilation_width == 1 && conv->stride_width < conv->kernel_width;
  const int32_t column = conv->kernel_height * conv->channels;
  const int64_t step = shared ? conv->stride_width : conv->kernel_width;
  const int64_t columns = (shape->output_width - 1) * step + conv->kernel_width;
  const int64_t rows = (int64_t)shape->batch * shape->output_height;
  if (columns > SPARSESEP_MAX_ELEMENTS / column / rows) return false;
  lines->columns = (int32_t)columns;
  lines->span = shared ? lines->columns : conv->kernel_width;
  lines->step = (int32_t)step * column;
  lines->pitch = lines->columns * column;
  lines->count = rows * lines->pitch;
  return true;
}

// int8 channels are copied by fours, if there are whole ones.
static cl_mem add_gather(const SparsesepOpenclNode* node,
                         const SparsesepSparseConv* conv,
                         const SparsesepConvShape* shape, const Lines* lines) {
  SparsesepOpenclRunner* runner = node->runner;
  const size_t bytes =
      sparsesep_opencl_element_bytes(runner, node->input->type);
  const int32_t together = bytes == 1 && conv->channels % 4 == 0 ? 4 : 1;
  const uint32_t zero_point = (uint8_t)conv->params.input_zero_point;
  cl_mem buffer = sparsesep_add_buffer(runner, (size_t)lines->count * bytes);
  sparsesep_add_step(
      runner, sparsesep_cl_gather_windows,
      together == 4 ? " -DELEMENT=int" : sparsesep_element_option(node),
      "gather_windows");
  sparsesep_add_buffer_argument(runner,
                                sparsesep_buffer_of(runner, node->input));
  sparsesep_add_buffer_argument(runner, buffer);
  const int32_t numbers[] = {(int32_t)(lines->count / together),
                             shape->input_height,
                             shape->input_width,
                             conv->channels / together,
                             shape->output_height,
                             lines->columns,
                             lines->span,
                             conv->kernel_height,
                             conv->stride_height,
                             conv->stride_width,
                             conv->dilation_height,
                             conv->dilation_width,
                             shape->pad_top,
                             shape->pad_left,
                             together == 4 ? (int32_t)(zero_point * 0x01010101u)
                                           : conv->params.input_zero_point};
  sparsesep_add_int_arguments(runner, 15, numbers);
  sparsesep_set_items(runner, lines->count / together, 1, 1);
  return buffer;
}

// Adds the second tensor to the outputs, in place. The wider operand is halved,
// as the numbers of an ADD halve it.
static void add_residual(const SparsesepOpenclNode* node,
                         const SparsesepSparseConv* conv) {
  const SparsesepResidual* r = &conv->addition;
  const bool is_narrow =
      sparsesep_residual_kind(conv) == SPARSESEP_RESIDUAL_NARROW_OTHER;
  const SparsesepMultiplier narrow = {r->multiplier,
                                      -sparsesep_residual_shift(conv)};
  const SparsesepMultiplier half = {1 << 30, 0};
  const SparsesepArithmetic numbers = {
      .zero_points = {conv->params.output_zero_point, r->zero_point,
                      r->sum_zero_point},
      .limits = {r->activation_min, r->activation_max},
      .multipliers = {is_narrow ? half : narrow,
                      is_narrow ? narrow : half,
                      {r->sum_multiplier, -sparsesep_residual_sum_shift(conv)}},
  };
  const SparsesepPartitionTensor* const operands[] = {
      node->output,
      sparsesep_partition_input(node->runner->partition, node->operation, 2)};
  sparsesep_add_int8_arithmetic(node, "add_int8", operands, &numbers);
}

static void add_conv(const SparsesepOpenclNode* node,
                     const SparsesepSparseConv* conv,
                     const SparsesepConvShape* shape) {
  Lines lines;
  if (!make_lines(conv, shape, &lines)) {
    sparsesep_opencl_fail(node->runner, "SPARSE_CONV_2D: image too large", 0);
    return;
  }
  SparsesepFullyConnectedParams params = conv->params;
  params.input_step = lines.step;
  const SparsesepVectors vectors = {
      add_gather(node, conv, shape, &lines),
      shape->batch * shape->output_height * shape->output_width,
      shape->output_width, lines.pitch, &params};
  sparsesep_add_sparse_rows(node, sparsesep_sparse_conv_weights(conv),
                            &vectors);
  if (sparsesep_has_residual(conv)) add_residual(node, conv);
}

void sparsesep_opencl_sparse_conv_2d(const SparsesepOpenclNode* node) {
  SparsesepCorePort port;
  const SparsesepConvOp* op = open_op(node, &port);
  if (op != NULL) {
    add_conv(node, port.tensors[SPARSESEP_SLOT_WEIGHTS].data, &op->shape);
  } else {
    sparsesep_opencl_fail(node->runner, "SPARSE_CONV_2D refused", 0);
  }
  sparsesep_close_port(&port);
}

// Declarations of the kernels in variants.inc, and which of them are linked.
//
// All of them, unless SPARSESEP_SELECTED_VARIANTS is defined: then only those
// that sparsesep_variants.h names, a file on the include path which
// `tflm-sparsesep variants` writes for a model. What is not named is not
// referenced, and the linker leaves it out.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_VARIANTS_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_VARIANTS_H_

#include "common/isa.h"
#include "sparsesep/sparsesep.h"

#define SPARSESEP_VARIANT(name, ...)                                  \
  void sparsesep_fully_connected_##name(                              \
      const SparsesepPackedHeader *weights,                           \
      const SparsesepFullyConnectedParams *params, const void *input, \
      int32_t batch, void *output, void *scratch);
#include "sparse_fully_connected/variants.inc"

// SPARSESEP_IF_LINKED(name, code): the code of linked variants, nothing for the
// others.
#ifdef SPARSESEP_SELECTED_VARIANTS
#include "sparsesep_variants.h"
// SPARSESEP_LINK_<name> is 1 or not defined: pasted to the macro below, the 1
// becomes two arguments, which push KEEP to the second place.
#define SPARSESEP_TWO_ARGUMENTS_1 0,
#define SPARSESEP_SECOND(first, second, ...) second
#define SPARSESEP_KEEP(...) __VA_ARGS__
#define SPARSESEP_DROP(...)
#define SPARSESEP_CHOOSE_BY(arguments) \
  SPARSESEP_SECOND(arguments SPARSESEP_KEEP, SPARSESEP_DROP, 0)
#define SPARSESEP_CHOOSE(flag) \
  SPARSESEP_CHOOSE_BY(SPARSESEP_TWO_ARGUMENTS_##flag)
#define SPARSESEP_CHOOSE_EXPANDED(flag) SPARSESEP_CHOOSE(flag)
#define SPARSESEP_IF_LINKED(name, ...) \
  SPARSESEP_CHOOSE_EXPANDED(SPARSESEP_LINK_##name)(__VA_ARGS__)
#else
#define SPARSESEP_IF_LINKED(name, ...) __VA_ARGS__
#endif

// The linked ones, fastest first.
extern const SparsesepFullyConnectedVariant
    sparsesep_fully_connected_variants[];

// The members of SparsesepFullyConnectedVariant.
#define SPARSESEP_VARIANT_MEMBERS(run, value, index, major, block_rows,       \
                                  block_cols, count_multiple, order, scratch) \
  {run,                                                                       \
   scratch,                                                                   \
   SPARSESEP_VALUE_##value,                                                   \
   SPARSESEP_INDEX_##index,                                                   \
   SPARSESEP_MAJOR_##major,                                                   \
   block_rows,                                                                \
   block_cols,                                                                \
   count_multiple,                                                            \
   SPARSESEP_ORDER_##order}

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_VARIANTS_H_

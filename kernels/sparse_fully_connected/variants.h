// Declarations of this build's kernels, and which of them are linked.
//
// All of them, unless sparsesep_variants.h is on the include path: then only
// those that it names. `tflm-sparsesep variants` writes it for a model. What is
// not named is not referenced, and the linker leaves it out. A build that
// defines SPARSESEP_SELECTED_VARIANTS fails without that file.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_VARIANTS_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_VARIANTS_H_

#include "common/isa.h"
#include "sparsesep/sparsesep.h"

// The kernel of a layout for an instruction set, as lists of variants name it.
#define SPARSESEP_KERNEL_NAME(layout, isa) \
  sparsesep_fully_connected_##layout##_##isa

#define SPARSESEP_KERNEL_FUNCTION(layout, isa)                        \
  void SPARSESEP_KERNEL_NAME(layout, isa)(                            \
      const SparsesepPackedHeader* weights,                           \
      const SparsesepFullyConnectedParams* params, const void* input, \
      int32_t batch, void* output, void* scratch)

// Defines a kernel: `frame` calls what it does not share with other kernels.
#define SPARSESEP_KERNEL(layout, isa, frame, ...)                       \
  SPARSESEP_KERNEL_FUNCTION(layout, isa) {                              \
    frame(weights, params, input, batch, output, scratch, __VA_ARGS__); \
  }

#define SPARSESEP_VARIANT(layout, isa, scratch_query) \
  SPARSESEP_KERNEL_FUNCTION(layout, isa);
#include "variants/variants_here.inc"

#if !defined(SPARSESEP_SELECTED_VARIANTS) && defined(__has_include)
#if __has_include("sparsesep_variants.h")
#define SPARSESEP_SELECTED_VARIANTS
#endif
#endif

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

// The numbers of each layout, by its name in layouts.inc.
#define SPARSESEP_LAYOUT(name, value, index, major, block_rows, block_cols, \
                         count_multiple, order)                             \
  enum {                                                                    \
    SPARSESEP_VALUE_OF_##name = SPARSESEP_VALUE_##value,                    \
    SPARSESEP_INDEX_OF_##name = SPARSESEP_INDEX_##index,                    \
    SPARSESEP_MAJOR_OF_##name = SPARSESEP_MAJOR_##major,                    \
    SPARSESEP_ROWS_OF_##name = block_rows,                                  \
    SPARSESEP_COLS_OF_##name = block_cols,                                  \
    SPARSESEP_MULTIPLE_OF_##name = count_multiple,                          \
    SPARSESEP_ORDER_OF_##name = SPARSESEP_ORDER_##order,                    \
  };
#include "sparse_fully_connected/layouts.inc"
#undef SPARSESEP_LAYOUT

// The index encodings and value types of the linked variants, a bit each: what
// none has, a validator need not know.
#define SPARSESEP_VARIANT(layout, isa, scratch_query) \
  SPARSESEP_IF_LINKED(layout##_##isa, | 1u << SPARSESEP_INDEX_OF_##layout)
enum {
  SPARSESEP_LINKED_INDICES = 0u
#include "variants/variants_here.inc"
};
#define SPARSESEP_VARIANT(layout, isa, scratch_query) \
  SPARSESEP_IF_LINKED(layout##_##isa, | 1u << SPARSESEP_VALUE_OF_##layout)
enum {
  SPARSESEP_LINKED_VALUES = 0u
#include "variants/variants_here.inc"
};

// The columns of their blocks, powers of two: what only wider blocks need, a
// frame need not carry.
#define SPARSESEP_VARIANT(layout, isa, scratch_query) \
  SPARSESEP_IF_LINKED(layout##_##isa, | SPARSESEP_COLS_OF_##layout)
enum {
  SPARSESEP_LINKED_COLS = 0u
#include "variants/variants_here.inc"
};

// Whether convolutions add residuals.
enum { SPARSESEP_LINKS_RESIDUALS = 0 SPARSESEP_IF_LINKED(residual, +1) };

// Whether kernels of the DSP extension multiply eight vectors at once.
// clang-format off
enum {
  SPARSESEP_LINKS_EIGHT_VECTORS = 0
  SPARSESEP_IF_LINKED(1x1_delta8_int8_dsp, +1)
  SPARSESEP_IF_LINKED(1x1_gap4_int8_dsp, +1)
  SPARSESEP_IF_LINKED(1x1_gap4_palette4_dsp, +1)
};
// clang-format on

// The seven of them that structs hold side by side.
#define SPARSESEP_LAYOUT_MEMBERS(name)                        \
  SPARSESEP_VALUE_OF_##name, SPARSESEP_INDEX_OF_##name,       \
      SPARSESEP_MAJOR_OF_##name, SPARSESEP_ROWS_OF_##name,    \
      SPARSESEP_COLS_OF_##name, SPARSESEP_MULTIPLE_OF_##name, \
      SPARSESEP_ORDER_OF_##name

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_VARIANTS_H_

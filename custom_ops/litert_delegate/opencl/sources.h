// The text of kernels/opencl/*.cl, embedded by the build.
#ifndef SPARSESEP_DELEGATE_OPENCL_SOURCES_H_
#define SPARSESEP_DELEGATE_OPENCL_SOURCES_H_

// Prefixes: common of all sources, rows of fully-connected layers, window of
// convolutions.
extern const char sparsesep_cl_common[];
extern const char sparsesep_cl_rows[];
extern const char sparsesep_cl_window[];

extern const char sparsesep_cl_arithmetic[];
extern const char sparsesep_cl_conv_2d[];
extern const char sparsesep_cl_depthwise_conv_2d[];
extern const char sparsesep_cl_fully_connected[];
extern const char sparsesep_cl_function[];
extern const char sparsesep_cl_gather_windows[];
extern const char sparsesep_cl_movement[];
extern const char sparsesep_cl_pool_2d[];
extern const char sparsesep_cl_separable_conv_2d[];
extern const char sparsesep_cl_softmax[];
extern const char sparsesep_cl_sparse_fully_connected[];

#endif  // SPARSESEP_DELEGATE_OPENCL_SOURCES_H_

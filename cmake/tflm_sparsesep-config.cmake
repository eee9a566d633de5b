# The operators for firmware builds: find_package(tflm_sparsesep), include() or
# add_subdirectory(). Flags of the core come from the toolchain file.
#
#   tflm_sparsesep::kernels  the C library: no framework, no allocation
#   tflm_sparsesep::ops      the operators for TensorFlow Lite Micro, if the
#                            target TFLM_TARGET (tflite-micro) exists
#
# TFLM_SPARSESEP_VARIANTS_DIR: a folder with the sparsesep_variants.h that
# `tflm-sparsesep variants` wrote, to link only the kernels of your models.
if(TARGET tflm_sparsesep_kernels)
  return()
endif()
get_filename_component(root "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)
file(GLOB_RECURSE sources CONFIGURE_DEPENDS
  "${root}/kernels/*.c" "${root}/custom_ops/core/*.c")

add_library(tflm_sparsesep_kernels STATIC ${sources})
add_library(tflm_sparsesep::kernels ALIAS tflm_sparsesep_kernels)
target_compile_features(tflm_sparsesep_kernels PRIVATE c_std_11)
target_include_directories(tflm_sparsesep_kernels
  PUBLIC "${root}/kernels/include" "${root}/custom_ops"
  PRIVATE "${root}/kernels" ${TFLM_SPARSESEP_VARIANTS_DIR})
target_compile_options(tflm_sparsesep_kernels PRIVATE
  -ffunction-sections -fdata-sections)

if(NOT TFLM_TARGET)
  set(TFLM_TARGET tflite-micro)
endif()
if(TARGET ${TFLM_TARGET})
  enable_language(CXX)
  add_library(tflm_sparsesep_ops STATIC
    "${root}/custom_ops/tflm/sparsesep_ops.cc")
  add_library(tflm_sparsesep::ops ALIAS tflm_sparsesep_ops)
  target_compile_features(tflm_sparsesep_ops PRIVATE cxx_std_11)
  target_compile_options(tflm_sparsesep_ops PRIVATE
    -ffunction-sections -fdata-sections -fno-exceptions -fno-rtti
    -fno-threadsafe-statics)
  target_link_libraries(tflm_sparsesep_ops
    PUBLIC tflm_sparsesep_kernels ${TFLM_TARGET})
endif()
